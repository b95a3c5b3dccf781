import type { ExecutionContext } from 'ava'
import type { DiscoverySource, Service } from '../../src/discovery/source.ts'
import type { Log } from '../../src/observability/log.ts'
import { patienceMs } from './until.ts'

export interface Watched {
  readonly snapshots: readonly (readonly Service[])[]
  /** Warnings so far, oldest first. */
  readonly warnings: readonly string[]
  /** Resolves with the first snapshot, seen already or not, from the `from`th on, that the predicate holds for. */
  until(predicate: (services: readonly Service[]) => boolean, from?: number): Promise<readonly Service[]>
  /** Resolves when a warning matches. */
  warned(pattern: RegExp): Promise<string>
  /** How `watch` ended: undefined where it resolved. */
  readonly ended: Promise<Error | undefined>
  stop(): Promise<Error | undefined>
}

/** Runs a source's `watch` on its own, without a watcher, and notes what it publishes. */
export function watchSource<Options>(
  t: ExecutionContext,
  source: DiscoverySource<Options>,
  options: Options,
  lastKnown?: readonly Service[],
): Watched {
  const snapshots: (readonly Service[])[] = []
  const warnings: string[] = []
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const check of waiting) check()
  }
  const log: Log = {
    debug() {},
    info() {},
    warn(_fields, message) {
      warnings.push(message)
      wake()
    },
    error(_fields, message) {
      warnings.push(message)
      wake()
    },
  } as Log
  const stopping = new AbortController()
  const publish = (services: readonly Service[]) => {
    snapshots.push(services)
    wake()
  }
  const ended = source.watch(options, publish, { log, signal: stopping.signal, fail() {}, lastKnown }).then(
    () => undefined,
    (error: Error) => error,
  )
  const stop = () => {
    stopping.abort()
    return ended
  }
  t.teardown(stop)

  /** Waits until `find` finds something; an ended watch or a lost patience is an error that says what was seen. */
  function wait<T>(find: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer)
        waiting.delete(check)
      }
      const check = () => {
        const found = find()
        if (found === undefined) return
        done()
        resolve(found)
      }
      const fail = (why: string) => {
        done()
        reject(
          new Error(
            `${why}; snapshots: ${JSON.stringify(snapshots.slice(-3))}; warnings: ${warnings.slice(-3)}`,
          ),
        )
      }
      const timer = setTimeout(() => fail('waited in vain'), patienceMs)
      waiting.add(check)
      ended.then((error) => fail(`watch ended: ${error?.message}`))
      check()
    })
  }

  return {
    snapshots,
    warnings,
    until: (predicate, from = 0) => wait(() => snapshots.slice(from).find(predicate)),
    warned: (pattern) => wait(() => warnings.find((warning) => pattern.test(warning))),
    ended,
    stop,
  }
}
