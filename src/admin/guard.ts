import { hash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Middleware } from 'koa'
import { isLoopback } from '../config/loopback.ts'
import type { Caller } from '../door/forwarded.ts'
import type { DoorState } from '../door/state.ts'
import { GatewayError } from '../errors.ts'
import type { Guard } from '../tokens/guard.ts'
import type { AuthenticationFailures } from '../tokens/limits.ts'
import type { Pass } from '../tokens/verified.ts'

export interface AdminGuardOptions {
  /** ADMIN_TOKEN */
  readonly token: string | undefined
  /** Judges access tokens. */
  readonly guard: Guard
  /** The gateway's own, as in `iss`: what scopes of other issuers' tokens mean is their business. */
  readonly issuer: string
  readonly failures: AuthenticationFailures
}

/** Under which wrong tokens are counted, as those of a client are under its id; no client has a space in its id. */
const guessed = 'an operator'

/** What an access token for the admin endpoints must be good for. */
const required = { service: 'admin', auth: 'required', scopes: ['admin'] } as const

/** What proxies say, each under one of its names: such a request comes from wherever the proxy's client is. */
const saysProxy = /^(?:x[-_]forwarded[-_].*|forwarded|via|x[-_]real[-_]ip|x[-_]original[-_].*)$/i

/**
 * Lets pass who asks from this machine itself, who bears ADMIN_TOKEN, and who bears an access token of the
 * gateway's own with the scope `admin`.
 *
 * A connection from a loopback address is not enough: it may be a proxy's on the same machine, and it may be a
 * browser's, sent here by a page under a name that has been made to resolve to this machine (DNS rebinding), or by
 * one that only cannot read the reply. So nothing may be said of a proxy, the Host must be this machine's own, and
 * what a browser says of the page must not name a stranger's.
 *
 * Wrong tokens are counted by address: see tokens/authentication-failures.ts. Who asks from this machine itself is
 * never refused for them.
 *
 * @throws GatewayError (rejects with) `authentication_required`, `invalid_token` (401), `insufficient_scope` (403),
 *   `too_many_requests` (429), `token_state_unknown` (503)
 */
export function createAdminGuard(options: AdminGuardOptions): Middleware<DoorState> {
  const { token, guard, issuer, failures } = options
  const expected = token === undefined ? undefined : digestOf(token)

  function bearsAdminToken({ headersDistinct }: IncomingMessage): boolean {
    const [credentials = '', ...others] = headersDistinct.authorization ?? []
    const given = /^bearer +(\S+)$/i.exec(credentials)?.[1]
    if (expected === undefined || given === undefined || others.length > 0) return false
    return timingSafeEqual(digestOf(given), expected)
  }

  async function passOf({ rawHeaders }: IncomingMessage, address: string): Promise<Pass | undefined> {
    try {
      return await guard(required, rawHeaders)
    } catch (error) {
      const isWrong = error instanceof GatewayError && error.code === 'invalid_token'
      if (isWrong) await failures.failed(address, guessed)
      throw error
    }
  }

  return async function adminGuard(ctx, next) {
    const { req, state } = ctx
    const { address } = state.caller
    const stranger = strangeness(req, state.caller)
    if (stranger === undefined) return next()
    if (req.headers.authorization === undefined) {
      throw new GatewayError('authentication_required', {
        detail: `${stranger}: ADMIN_TOKEN is asked for, or an access token with the scope admin.`,
        headers: { 'WWW-Authenticate': 'Bearer scope="admin"' },
      })
    }
    await failures.blocked(address, guessed)
    if (bearsAdminToken(req)) return next()
    const pass = await passOf(req, address)
    // A dummy has no id of its own: whoever typed it named its scopes.
    if (pass?.identity.issuer !== issuer || pass.identity.tokenId === undefined) {
      throw new GatewayError('insufficient_scope', {
        detail: 'ADMIN_TOKEN is asked for, or an access token that this gateway issued with the scope admin.',
        headers: { 'WWW-Authenticate': 'Bearer error="insufficient_scope", scope="admin"' },
      })
    }
    state.subject = pass.identity.subject
    return next()
  }
}

/** Why a request does not, or need not, come directly from a program of this machine's; undefined where it does. */
function strangeness({ rawHeaders, headers }: IncomingMessage, caller: Caller): string | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (saysProxy.test(rawHeaders[i]!)) return 'The request came through a proxy'
  }
  if (!isLoopback(caller.address)) return 'The request came from another address than a loopback one'
  const { host } = caller
  if (host === undefined || !isLoopback(host.replace(/:\d+$/, ''))) {
    return 'The Host of the request is not this machine'
  }
  const { origin, 'sec-fetch-site': site = 'none' } = headers
  const isStrangers = origin !== undefined && origin !== `http://${host}`
  if (isStrangers || !['none', 'same-origin'].includes(String(site))) {
    return 'The request came from a page of another origin'
  }
  return undefined
}

/** Of the same length whatever was given, as the comparison wants it. */
const digestOf = (token: string) => hash('sha256', token, 'buffer')
