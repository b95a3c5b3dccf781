import { EventEmitter } from 'node:events'
import type { ExecutionContext } from 'ava'
import type { DiscoverySource, Service } from '../../src/discovery/source.ts'
import type { Log, LogFields } from '../../src/observability/log.ts'

export interface Logged {
  readonly level: keyof Log
  readonly fields: LogFields
  readonly message: string
}

export interface WatchedSource {
  /** Everything published so far. */
  readonly snapshots: readonly (readonly Service[])[]
  readonly logged: readonly Logged[]
  /** Settles with the watch, giving what it rejected with or undefined. */
  readonly ended: Promise<unknown>
  /** The next snapshot published from now on. */
  next(): Promise<readonly Service[]>
  /** Waits until what was published, logged or thrown so far fulfils the condition. */
  until(condition: () => boolean): Promise<void>
  /** The origins of a service's instances in the last snapshot. */
  origins(service: string): readonly string[]
  abort(): void
}

const deadlineMs = 20_000

/** Runs a source as the watcher would, once, and keeps what it says. */
export function watchSource<Options>(
  t: ExecutionContext,
  source: DiscoverySource<Options>,
  options: Options,
): WatchedSource {
  const controller = new AbortController()
  const events = new EventEmitter().setMaxListeners(0)
  const snapshots: (readonly Service[])[] = []
  const logged: Logged[] = []
  const record = (level: keyof Log) => (fields: LogFields, message: string) => {
    logged.push({ level, fields, message })
    events.emit('change')
  }
  const log: Log = {
    debug: record('debug'),
    info: record('info'),
    warn: record('warn'),
    error: record('error'),
  }
  const publish = (services: readonly Service[]) => {
    snapshots.push(services)
    events.emit('change')
  }
  const ended = source.watch(options, publish, { log, signal: controller.signal }).then(
    () => undefined,
    (error: unknown) => error,
  )
  void ended.then(() => events.emit('change'))
  t.teardown(async () => {
    controller.abort()
    await ended
  })

  function until(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        events.off('change', check)
        reject(
          new Error(
            `not within ${deadlineMs} ms; last: ${JSON.stringify([snapshots.at(-1), logged.at(-1)])}`,
          ),
        )
      }
      const timer = setTimeout(giveUp, deadlineMs)
      const check = () => {
        if (!condition()) return
        clearTimeout(timer)
        events.off('change', check)
        resolve()
      }
      events.on('change', check)
      check()
    })
  }

  return {
    snapshots,
    logged,
    ended,
    async next() {
      const count = snapshots.length
      await until(() => snapshots.length > count)
      return snapshots[count]!
    },
    until,
    origins: (name) =>
      snapshots
        .at(-1)
        ?.find((service) => service.name === name)
        ?.instances.map((instance) => instance.origin) ?? [],
    abort: () => controller.abort(),
  }
}
