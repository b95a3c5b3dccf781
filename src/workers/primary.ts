import cluster, { type Worker } from 'node:cluster'
import { announce, urlOf } from '../announce.ts'
import type { OpenedConfig } from '../config/load.ts'
import { createReloader } from '../config/reload.ts'
import type { FileText } from '../config/routing.ts'
import { registerGateway } from '../discovery/register-gateway.ts'
import type { Log } from '../observability/log.ts'
import { createLevelSwitch, type LevelChange } from '../observability/log-level.ts'
import { openLog, readKeys, StartError } from '../opening.ts'
import { createCrew } from './crew.ts'
import type { Listening, ToPrimary } from './messages.ts'
import { createRelay } from './relay.ts'

/** What a worker needs besides the times that it was given to drain. */
const graceMs = 10_000

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} }

/**
 * The process that has workers serve, and serves nothing itself: asks the sources, registers the gateway, replaces
 * workers that crash.
 *
 * @throws StartError where the keys cannot be read, a worker cannot listen, or this is a worker itself
 */
export async function startPrimary({ config, file, environment }: OpenedConfig) {
  const { workers, drain, discovery } = config
  if (cluster.isWorker) {
    throw new StartError(
      `WORKERS: ${workers} in a process that is a worker of another cluster; have that start more`,
    )
  }
  const log = openLog(config)
  const levels = createLevelSwitch({ log })
  const encryptionKeys = await readKeys(config, log)
  let routingText: FileText = file.text
  let candidate: FileText

  // The workers follow gateway.yaml themselves, and log what they make of it. Here it is followed for those to come,
  // who must begin with what is in force, and for the sources that take their URLs from it.
  const reloader = createReloader({
    file: {
      ...file,
      parse(text, previous) {
        candidate = text
        return file.parse(text, previous)
      },
    },
    routing: { ...config, sources: discovery.sources },
    apply({ sources }) {
      routingText = candidate
      relay.reload(sources)
    },
    log: quiet,
  })
  const relay = createRelay({
    sources: discovery.sources,
    tell: (news) => crew.tell({ kind: 'news', ...news }),
    retire: (generation) => crew.tell({ kind: 'retired', generation }),
    log,
  })
  const crew = createCrew({
    size: workers,
    beginning: (worker) => ({
      ...{ worker, workers, environment, encryptionKeys },
      routingText: typeof routingText === 'string' ? routingText : undefined,
      sources: relay.everything(),
      logLevel: levels.inForce(),
    }),
    hear,
    drainMs: drain.delayMs + drain.timeoutMs + graceMs,
    log,
  })

  /** Questions go from one worker to the others by way of us, and the answers back. */
  function hear(worker: Worker, message: ToPrimary): void {
    if (message.kind === 'ask') {
      const { id, question, argument } = message
      // Its own log is one of the gateway's.
      if (question === 'logLevel') levels.ask(argument as LevelChange | undefined)
      const others = crew.tell(
        { kind: 'question', asker: worker.id, id, question, argument },
        ({ id }) => id !== worker.id,
      )
      crew.tell({ kind: 'asked', id, others }, ({ id }) => id === worker.id)
    } else if (message.kind === 'answer') {
      const { asker, id, value } = message
      crew.tell({ kind: 'answer', id, value }, (other) => other.id === asker)
    }
  }

  async function startCrew(): Promise<Listening> {
    try {
      return await crew.start()
    } catch (error) {
      crew.kill()
      await relay.stop()
      throw new StartError(error instanceof Error ? error.message : String(error), { cause: error })
    }
  }

  // Whoever cannot wait for the workers to drain does not leave them behind.
  process.once('exit', (code) => {
    if (code === 130) crew.kill()
  })
  relay.start()
  reloader.start()
  const { port, adminUrl } = await startCrew()
  announce(config, urlOf(config, port), adminUrl, log)
  const pids = crew.pids().join(', ')
  log.info({ workers, pids }, `  workers    ${workers} (pid ${pids})`)
  const registration = registerGateway(config, port, log, relay.ready)

  async function shutDown(): Promise<void> {
    // Whoever sends traffic is told before any connection is refused.
    await registration?.stop()
    await crew.stop()
    reloader.stop()
    await relay.stop()
    levels.stop()
    log.flush()
  }
  let stopped: Promise<void> | undefined
  return {
    stop() {
      stopped ??= shutDown()
      return stopped
    },
    reload() {
      void reloader.reload()
      crew.tell({ kind: 'reload' })
    },
  }
}
