import createClient from 'openapi-fetch'
import type { paths } from '../gateway-api.d.ts'
import { readSettings } from './settings.ts'

/** The gateway, asked by this server. Typed by its own API document. */
export function gateway() {
  return createClient<paths>({
    baseUrl: readSettings().gatewayUrl,
    cache: 'no-store',
    fetch: (request: Request) => fetch(request, { signal: AbortSignal.timeout(10_000) }),
  })
}
