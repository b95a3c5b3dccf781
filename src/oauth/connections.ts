import { GatewayError } from '../errors.ts'
import { checkBody, parseForm } from '../tokens/body.ts'
import { connectionReply } from './connection-reply.ts'
import { cursorOf, readCursor } from './cursor.ts'
import { withLoginUrl } from './login/error-page.ts'
import {
  type ConnectionListReply,
  type ConnectionReply,
  listQuerySchema,
  oneQuerySchema,
  type RemovalReply,
  refreshConnectionSchema,
} from './schemas.ts'
import type { OAuthContext, OAuthStep } from './state.ts'
import type { Connection, Vault } from './vault/vault.ts'

export interface ConnectionsOptions {
  readonly vault: Pick<Vault, 'find' | 'list' | 'fresh' | 'refresh' | 'remove'>
  /** Those that are configured, by name. */
  readonly providers: ReadonlyMap<string, { readonly title: string }>
  /** Where a login by the provider begins. */
  readonly loginUrl: (provider: string) => string
}

/** What can be done with connections: each of these only ever sees those of `ctx.state.actor`. */
export interface ConnectionEndpoints {
  /** `GET /oauth?provider=&limit=&after=` */
  readonly list: OAuthStep
  /** `GET /oauth/:id` */
  readonly show: OAuthStep
  /** `POST /oauth/:id/refresh` */
  readonly refresh: OAuthStep
  /** `DELETE /oauth/:id` */
  readonly remove: OAuthStep
}

/** How many of one list are refreshed side by side: each may wait for a provider, and hold a row's lock meanwhile. */
const mostAtOnce = 4

export function createConnectionEndpoints(options: ConnectionsOptions): ConnectionEndpoints {
  const { vault, providers, loginUrl } = options

  /** Undefined where the provider is not configured any more. */
  const loginUrlOf = ({ provider }: Connection) => (providers.has(provider) ? loginUrl(provider) : undefined)

  /** Somebody else's is found as little as one that never was. */
  async function find(ctx: OAuthContext): Promise<Connection> {
    const found = await vault.find(ctx.params.id!, ctx.state.actor.subject)
    if (found === undefined) throw noConnection()
    return found
  }

  /** With a token where it has a good one; that the user has to log in again is an answer too. */
  async function freshReply(connection: Connection): Promise<ConnectionReply> {
    try {
      const fresh = await vault.fresh(connection)
      const needsReauth = fresh.state === 'needs_reauth'
      return connectionReply(fresh, {
        accessToken: fresh.accessToken,
        loginUrl: needsReauth ? loginUrlOf(fresh) : undefined,
      })
    } catch (error) {
      if (codeOf(error) !== 'reauthorization_required') throw error
      return connectionReply({ ...connection, state: 'needs_reauth' }, { loginUrl: loginUrlOf(connection) })
    }
  }

  /** The same, but one that cannot be had now does not spoil the others; undefined for one removed meanwhile. */
  async function listedReply(connection: Connection): Promise<ConnectionReply | undefined> {
    try {
      return await freshReply(connection)
    } catch (error) {
      const code = codeOf(error)
      if (code === undefined) throw error
      return code === 'not_found' ? undefined : connectionReply(connection, { error: code })
    }
  }

  return {
    async list(ctx) {
      const query = checkBody(listQuerySchema, parseForm(ctx.querystring))
      const { provider, limit } = query
      const after = query.after === undefined ? undefined : readCursor(query.after)
      const { subject } = ctx.state.actor
      // One more than is shown tells whether there is a next page.
      const found = await vault.list({ subject, provider, after, limit: limit + 1 })
      const page = found.slice(0, limit)
      const replies = await mapAtMost(mostAtOnce, page, listedReply)
      const reply: ConnectionListReply = {
        connections: replies.filter((one) => one !== undefined),
        ...(found.length > limit && { next: cursorOf(page.at(-1)!) }),
      }
      ctx.body = reply
    },

    async show(ctx) {
      checkBody(oneQuerySchema, parseForm(ctx.querystring))
      const connection = await find(ctx as OAuthContext)
      ctx.body = await freshReply(connection).catch(throwIfGone)
    },

    async refresh(ctx) {
      checkBody(refreshConnectionSchema, ctx.state.body)
      const connection = await find(ctx as OAuthContext)
      const refreshed = await vault.refresh(connection).catch((error) => {
        const url = loginUrlOf(connection)
        const canBeMended = codeOf(error) === 'reauthorization_required' && url !== undefined
        return throwIfGone(canBeMended ? withLoginUrl(error, url) : error)
      })
      ctx.body = connectionReply(refreshed, { accessToken: refreshed.accessToken })
    },

    async remove(ctx) {
      checkBody(oneQuerySchema, parseForm(ctx.querystring))
      const { id } = (ctx as OAuthContext).params
      const revocation = await vault.remove(id!, ctx.state.actor.subject)
      if (revocation === undefined) throw noConnection()
      const reply: RemovalReply = { id: id!, revocation }
      ctx.status = revocation === 'queued' ? 202 : 200
      ctx.body = reply
    },
  }
}

const codeOf = (error: unknown) => (error instanceof GatewayError ? error.code : undefined)

/** Always in the same words, so that nobody learns which ids there are. */
const noConnection = () => new GatewayError('not_found', { detail: 'There is no such connection.' })

function throwIfGone(error: unknown): never {
  throw codeOf(error) === 'not_found' ? noConnection() : error
}

/** In the order given; so many at a time. */
async function mapAtMost<In, Out>(
  most: number,
  items: readonly In[],
  map: (item: In) => Promise<Out>,
): Promise<Out[]> {
  const results = new Array<Out>(items.length)
  const waiting = items.entries()
  async function work(): Promise<void> {
    for (const [index, item] of waiting) results[index] = await map(item)
  }
  await Promise.all(Array.from({ length: most }, work))
  return results
}
