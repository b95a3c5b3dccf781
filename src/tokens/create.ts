import { randomUUID } from 'node:crypto'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Database } from '../persistence/database.ts'
import { checkBody } from './body.ts'
import { requireClient } from './clients.ts'
import type { IssuedToken, Issuer } from './issue.ts'
import { createSchema, type TokenReply } from './schemas.ts'
import { randomToken } from './secrets.ts'
import { openSession, type SessionLifetimes, type SessionTerms } from './sessions.ts'
import type { TokenStep } from './state.ts'

export interface OpenSessionOptions {
  readonly database: Pick<Database, 'run'>
  readonly issuer: Issuer
  readonly lifetimes: SessionLifetimes
}

/**
 * Begins a session; gives its first tokens.
 * @param em of a transaction that it is to be part of: what is given is worth something once that commits
 */
export type Open = (terms: Omit<SessionTerms, 'id'>, em?: SqlEntityManager) => Promise<TokenReply>

export function createOpen({ database, issuer, lifetimes }: OpenSessionOptions): Open {
  return async function open(terms, em) {
    const session = { ...terms, id: randomUUID() }
    const issued = await issuer.issue({ ...session, sessionId: session.id })
    const refreshToken = randomToken()
    // One statement writes both.
    const write = (to: SqlEntityManager) => openSession(to, session, refreshToken, lifetimes)
    await (em === undefined ? database.run(write) : write(em))
    return tokenReply(issued, refreshToken, session.scope)
  }
}

/** RFC 6749 §5.1. */
export function tokenReply(issued: IssuedToken, refreshToken: string, scope: string): TokenReply {
  return {
    access_token: issued.token,
    token_type: 'Bearer',
    expires_in: issued.expiresAt - issued.issuedAt,
    refresh_token: refreshToken,
    scope,
    created_at: new Date(issued.issuedAt * 1000).toISOString(),
  }
}

/** `POST /tokens/create`: a client has tokens made for one of its users. */
export function createCreate({ open }: { open: Open }): TokenStep {
  return async function create(ctx) {
    const client = requireClient(ctx.state.client)
    const body = checkBody(createSchema, ctx.state.body)
    ctx.body = await open({
      subject: body.subject,
      clientId: client.id,
      scope: normalScope(body.scope),
      // None is stored for the gateway itself: its name may be another when the session is refreshed.
      audience: [...new Set([body.audience ?? []].flat())],
      claims: body.claims ?? {},
    })
  }
}

/** Each scope once. */
export const normalScope = (scope = '') => [...new Set(scope.split(' '))].join(' ')
