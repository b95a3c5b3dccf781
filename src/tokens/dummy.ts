import { GatewayError } from '../errors.ts'
import type { Log } from '../observability/log.ts'
import { checkBody } from './body.ts'
import { normalScope, type Open } from './create.ts'
import type { Dummies } from './dummies.ts'
import { type DummyReply, dummySchema } from './schemas.ts'
import type { TokenStep } from './state.ts'

export interface DummyOptions {
  readonly dummies: Dummies
  readonly open: Open
  readonly issuer: string
  /** Seconds. */
  readonly accessTokenLifetime: number
  readonly log: Log
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

const testUser = 'test-user'
const dummyClient = 'dummy'

/**
 * `POST /tokens/dummy`, in development only: makes any text an access token, or a real pair for a test user, and
 * prints it on the console, so that whoever types into Swagger UI sees it arrive. No other token is ever printed.
 *
 * @throws GatewayError (rejects with) `origin_not_allowed` for a page of a stranger's
 */
export function createDummy(options: DummyOptions): TokenStep {
  const { dummies, open, issuer, accessTokenLifetime, log, now = Date.now } = options

  function adopt(token: string, subject: string, scope: string): DummyReply {
    const issuedAt = Math.floor(now() / 1000)
    dummies.add(token, {
      subject,
      issuer,
      clientId: dummyClient,
      scopes: new Set(scope.split(' ').filter(Boolean)),
      scope,
      tokenId: undefined,
      sessionId: undefined,
      expiresAt: issuedAt + accessTokenLifetime,
    })
    return {
      access_token: token,
      token_type: 'Bearer',
      expires_in: accessTokenLifetime,
      scope,
      created_at: new Date(issuedAt * 1000).toISOString(),
    }
  }

  return async function dummy(ctx) {
    const { origin, host } = ctx.req.headers
    if (!dummies.isWelcome(origin, host)) {
      throw new GatewayError('origin_not_allowed', {
        detail: "Dummies are made for pages of this gateway's own, of PUBLIC_URL and of CORS_ORIGINS.",
      })
    }
    const body = checkBody(dummySchema, ctx.state.body)
    const { access_token: token, subject = testUser } = body
    const scope = normalScope(body.scope)
    const reply: DummyReply =
      token === undefined
        ? await open({ subject, clientId: dummyClient, scope, audience: [], claims: {} })
        : adopt(token, subject, scope)
    // The log takes out what would move a terminal's cursor.
    log.info({}, `dummy token: ${reply.access_token}`)
    ctx.body = reply
  }
}
