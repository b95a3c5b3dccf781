import { randomUUID } from 'node:crypto'
import type { Middleware } from 'koa'
import { parseBody } from './body.ts'
import { clientAddress } from './client-address.ts'
import type { User } from './entities.ts'
import type { Limits } from './limits.ts'
import type { Passwords } from './passwords.ts'
import { Problem } from './problem.ts'
import { signupRequest } from './schemas.ts'
import type { Users } from './users.ts'

export interface SignupOptions {
  readonly users: Users
  readonly passwords: Passwords
  readonly limits: Limits
}

/** `POST /user/signup`: 201 with the new user, 409 `email_taken`. */
export function signup({ users, passwords, limits }: SignupOptions): Middleware {
  return async (ctx) => {
    const { email, password, name } = parseBody(ctx, signupRequest)
    await limits.signup(clientAddress(ctx))
    // Asked before the dear part; whether it is free in the end is the database's to say.
    if ((await users.findByEmail(email)) !== undefined) throw taken()
    const passwordHash = await passwords.hash(password)
    const user = { id: randomUUID(), email, name: name ?? null, passwordHash, createdAt: new Date() }
    if (!(await users.add(user))) throw taken()
    ctx.status = 201
    ctx.body = publicUser(user)
  }
}

/** What anybody but the service itself may see of a user. */
export function publicUser({ id, email, name, createdAt }: User) {
  return { id, email, ...(name !== null && { name }), created_at: createdAt.toISOString() }
}

const taken = () => new Problem(409, 'email_taken', { detail: 'Somebody has signed up with this e-mail.' })
