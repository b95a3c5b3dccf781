import { GatewayError } from '../errors.ts'
import type { ProxyRoute } from '../proxy/routes.ts'

/**
 * Whether a caller may pass a route. Tokens are not issued or read yet, so nobody can show one: a route that
 * demands a caller is closed, never open by omission; `optional` and `none` let everybody in.
 *
 * @throws GatewayError `authentication_required` (401)
 */
export function authorize(route: Pick<ProxyRoute, 'auth' | 'service'>): void {
  if (route.auth !== 'required') return
  throw new GatewayError('authentication_required', {
    detail: `The service ${route.service} asks for a caller's token.`,
    headers: { 'WWW-Authenticate': 'Bearer' },
  })
}
