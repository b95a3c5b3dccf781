import type { Middleware } from 'koa'
import { parseBody } from './body.ts'
import { clientAddress } from './client-address.ts'
import type { User } from './entities.ts'
import type { Gateway } from './gateway.ts'
import type { Limits } from './limits.ts'
import type { Passwords } from './passwords.ts'
import { Problem } from './problem.ts'
import { loginRequest } from './schemas.ts'
import type { Users } from './users.ts'

export interface LoginOptions {
  readonly users: Users
  readonly passwords: Passwords
  readonly limits: Limits
  readonly gateway: Gateway
}

/** What a token of a login is good for. */
const scope = 'profile'

/**
 * `POST /user/login`: the gateway's token pair as it came. 401 `invalid_credentials` for an unknown e-mail and
 * for a wrong password, in the same words and after the same time.
 */
export function login({ users, passwords, limits, gateway }: LoginOptions): Middleware {
  async function authenticate(email: string, password: string): Promise<User | undefined> {
    const user = await users.findByEmail(email)
    const { matches, outdated } = await passwords.verify(password, user?.passwordHash)
    if (user === undefined || !matches) return undefined
    if (outdated) await renew(user, password)
    return user
  }

  async function renew(user: User, password: string): Promise<void> {
    try {
      await users.replacePasswordHash(user, await passwords.hash(password))
    } catch {
      // Too busy, or no database: the password was right all the same, and the next login tries again.
    }
  }

  return async (ctx) => {
    const { email, password } = parseBody(ctx, loginRequest)
    const attempt = await limits.login(clientAddress(ctx), email)
    let user: User | undefined
    try {
      user = await authenticate(email, password)
    } catch (error) {
      await attempt.takeBack()
      throw error
    }
    if (user === undefined) {
      throw new Problem(401, 'invalid_credentials', { detail: 'The e-mail or the password is wrong.' })
    }
    await attempt.succeeded()
    const requestId = ctx.get('x-request-id')
    ctx.body = await gateway.createTokens({ subject: user.id, scope, requestId })
    // RFC 6749 §5.1
    ctx.set('Cache-Control', 'no-store')
  }
}
