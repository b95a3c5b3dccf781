import type { Log } from '../observability/log.ts'
import { stackOf } from '../observability/stack.ts'
import { createMessages } from './messages.ts'
import type { ProcessStatus } from './process-status.ts'
import { type Asked, takePoints, takeSnapshot } from './snapshot.ts'
import type { Streams } from './streams.ts'

/** Keeps the open pages up to date; does nothing while none is open. */
export interface Live {
  /** Something has happened that is to be seen at once. */
  soon(): void
  stop(): void
}

export interface LiveOptions {
  readonly streams: Streams
  /** Asks every process how it is doing. */
  readonly gatherStatus: () => Promise<readonly [ProcessStatus, ...ProcessStatus[]]>
  /** Asks every process what it has kept of the last minutes. */
  readonly gatherTraffic: () => Promise<readonly [ProcessStatus['traffic'], ...ProcessStatus['traffic'][]]>
  readonly asked: Asked
  readonly log: Log
}

const beatMs = 1000
/** However much happens at once, no more often than this. */
const shortestMs = 100
/** So much of the time may go into it: a table of thousands of routes beats more slowly. */
const mostShare = 0.05
/** However much that is: a page that hears nothing for 15 s takes its stream for dead. */
const longestMs = 5000

/** One beat a second for all pages together, and one at once where something happened. */
export function createLive({ streams, gatherStatus, gatherTraffic, asked, log }: LiveOptions): Live {
  const messages = createMessages()
  let timer: NodeJS.Timeout | undefined
  let beating = false
  let wanted = false
  let stopped = false
  let lastAt = -Infinity
  let costMs = 0

  async function beat(): Promise<void> {
    timer = undefined
    beating = true
    wanted = false
    lastAt = performance.now()
    try {
      await streams.review()
      if (streams.count() > 0) await tell()
    } catch (error) {
      log.error({ stack: stackOf(error) }, 'the dashboard could not be brought up to date')
    }
    beating = false
    if (wanted) soon()
    else schedule(Math.max(beatMs, restMs(mostShare)))
  }

  async function tell(): Promise<void> {
    const askedAt = performance.now()
    const asking = Promise.all([gatherStatus(), streams.needAll() ? gatherTraffic() : undefined])
    // This process has answered by now, which of a large table is most of the work; the others are waited for.
    const answeringMs = performance.now() - askedAt
    const [all, history] = await asking
    const startedAt = performance.now()
    const recent = takePoints([all[0].traffic, ...all.slice(1).map(({ traffic }) => traffic)])
    const at = Date.now()
    const change = messages.change(takeSnapshot(all, asked), recent, at)
    streams.send(change, history && (() => messages.all(takePoints(history), at)))
    costMs = answeringMs + performance.now() - startedAt
  }

  const restMs = (share: number) => Math.min(longestMs, costMs / share)

  function schedule(ms: number): void {
    if (stopped || streams.count() === 0) return
    clearTimeout(timer)
    timer = setTimeout(() => void beat(), Math.max(0, lastAt + ms - performance.now())).unref()
  }

  function soon(): void {
    wanted = true
    if (!beating) schedule(Math.max(shortestMs, restMs(mostShare * 2)))
  }

  return {
    soon,
    stop() {
      stopped = true
      clearTimeout(timer)
      streams.endAll()
    },
  }
}
