import type { Middleware } from 'koa'
import type { ReloadStatus } from '../config/reload.ts'
import type { SourceStatus } from '../discovery/watcher.ts'
import type { Tokens } from '../tokens/tokens.ts'

export interface HealthOptions {
  /** Every discovery source has spoken at least once. */
  readonly discovered: () => boolean
  readonly sources: () => readonly SourceStatus[]
  /** Ready once, the database may come and go: what needs none of it goes on. */
  readonly tokens: Pick<Tokens, 'ready' | 'database' | 'signing'>
  /** Where gateway.yaml is followed: a file that is at fault makes nothing unready, since the last good one holds. */
  readonly config: (() => Pick<ReloadStatus, 'state'>) | undefined
  /** The process has been asked to stop. */
  readonly stopping: () => boolean
}

/** What is asked every few seconds for as long as the gateway runs, by those who look after it. */
export const probes: ReadonlySet<string> = new Set(['/livez', '/readyz', '/metrics'])

/** Alive: the event loop answers. Nothing else belongs here, or a restart would be the cure for a neighbour. */
export const livez: Middleware = (ctx) => {
  ctx.set('Cache-Control', 'no-store')
  ctx.body = { status: 'ok' }
}

/** Ready for traffic: fails from the first moment of a shutdown, and before the first table. */
export function createReadyz({ discovered, sources, tokens, config, stopping }: HealthOptions): Middleware {
  return (ctx) => {
    const ready = discovered() && tokens.ready() && !stopping()
    ctx.status = ready ? 200 : 503
    ctx.set('Cache-Control', 'no-store')
    ctx.body = {
      status: ready ? 'ready' : stopping() ? 'stopping' : 'starting',
      discovery: Object.fromEntries(sources().map(({ source, state }) => [source, state])),
      ...(config && { config: config().state }),
      ...(tokens.database && { database: tokens.database() }),
      ...(tokens.signing && { signing: tokens.signing() }),
    }
  }
}
