import type { Middleware } from 'koa'
import { Problem } from './problem.ts'
import { publicUser } from './signup.ts'
import type { Users } from './users.ts'

export interface MeOptions {
  readonly users: Pick<Users, 'findById'>
  /** The headers that the gateway writes, and removes where anybody else has written them. */
  readonly headers: { readonly id: string; readonly scope: string; readonly issuer: string }
  /** Whose subjects are this service's users. */
  readonly issuer: string
}

/**
 * `GET /user/me`: who is calling, as the gateway says. A subject that is no user of this service (a dummy's, or
 * another issuer's) has an id and a scope, and no more.
 */
export function me({ users, headers, issuer }: MeOptions): Middleware {
  return async (ctx) => {
    const id = ctx.get(headers.id)
    if (id === '') {
      throw new Problem(401, 'authentication_required', {
        detail: 'The gateway has not said who is calling.',
        headers: { 'WWW-Authenticate': 'Bearer' },
      })
    }
    // A subject is unique only together with its issuer.
    const user = ctx.get(headers.issuer) === issuer ? await users.findById(id) : undefined
    ctx.body = { ...(user === undefined ? { id } : publicUser(user)), scope: ctx.get(headers.scope) }
    ctx.set('Cache-Control', 'no-store')
  }
}
