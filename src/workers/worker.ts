import cluster from 'node:cluster'
import type { Config } from '../config/config.ts'
import { discoverySources } from '../discovery/sources/index.ts'
import { createGateway, type Gateway } from '../gateway.ts'
import type { Log } from '../observability/log.ts'
import { explainListen, openForStart, openLog } from '../opening.ts'
import { createAcceptTurns } from './accept-turns.ts'
import { createPeerLink } from './join-peers.ts'
import type { Beginning, ToPrimary, ToWorker } from './messages.ts'
import { createSourceFeed } from './relayed-source.ts'

/** Runs as one of several workers, until the primary says otherwise or is gone. */
export async function runWorker(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

  const beginning = Promise.withResolvers<Beginning>()
  const ending = Promise.withResolvers<void>()
  const peers = createPeerLink(say)
  const turns = createAcceptTurns(() => say({ kind: 'turn' }))
  let feed: ReturnType<typeof createSourceFeed> | undefined
  let gateway: Gateway | undefined
  let log: Log | undefined

  cluster.worker?.on('disconnect', () => {
    // Or node:cluster would end the process here and now, with whatever it is serving.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
    log?.warn({}, 'the primary is gone: what is in flight is ended, then this worker')
    turns.end()
    ending.resolve()
  })
  process.on('message', (message: ToWorker) => {
    if (message.kind === 'begin') {
      feed = createSourceFeed(message.sources)
      beginning.resolve(message)
    } else if (message.kind === 'news') feed?.take(message)
    else if (message.kind === 'retired') feed?.retire(message.generation)
    else if (message.kind === 'reload') gateway?.reload()
    else if (message.kind === 'stop') ending.resolve()
    else if (message.kind === 'turned') turns.taken()
    else peers.take(message)
  })
  say({ kind: 'hello' })

  const { worker, workers, environment, routingText, encryptionKeys, logLevel } = await beginning.promise
  try {
    const { config, file } = openForStart({
      // The gateway is registered once, by the primary.
      env: { ...environment, REGISTER: 'false' },
      cwd: process.cwd(),
      sources: feed?.relayed(discoverySources) ?? discoverySources,
      asRead: { routingText },
    })
    const own = openLog(config, worker)
    log = own
    const share = withShareOfDatabase(config, workers)
    gateway = createGateway(share, {
      ...{ log: own, logLevel, encryptionKeys, configFile: file },
      ...{ peers: peers.join, acceptTurn: turns.next },
    })
    const { port, adminUrl } = await gateway.start().catch((error: unknown) => {
      throw new Error(explainListen(error, config), { cause: error })
    })
    say({ kind: 'listening', port, adminUrl })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    process.send?.({ kind: 'failed', message } satisfies ToPrimary, () => process.exit(1))
    return
  }
  await ending.promise
  await gateway.stop()
  process.exit(0)
}

/** DATABASE_POOL_SIZE is the gateway's: the workers divide it. Less than two is no pool. */
function withShareOfDatabase(config: Config, workers: number): Config {
  const { database } = config
  if (database.kind !== 'postgres') return config
  const poolSize = Math.max(2, Math.floor(database.poolSize / workers))
  return { ...config, database: { ...database, poolSize } }
}

function say(message: ToPrimary): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {})
}
