import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../config/config.ts'
import type { TraceContext } from '../door/trace-context.ts'
import type { Log } from './log.ts'
import type { BeginTrace, Incoming } from './spans.ts'
import type { RequestTrace } from './trace.ts'

/** How many spans were sent, could not be, or found no room to wait in. */
export interface SpanCounts {
  exported: number
  failed: number
  dropped: number
}

export interface Tracing {
  /** Loads what makes spans. No request may begin before it resolves. */
  start(): Promise<void>
  /** Begins the trace of a request, or goes on with its caller's. */
  begin(incoming: Incoming, context: TraceContext | undefined): RequestTrace
  readonly counts: Readonly<SpanCounts>
  /** Sends what waits, and gives up after a while. Never rejects. */
  stop(): Promise<void>
}

export interface TracingOptions {
  readonly version: string
  readonly log: Log
  /** How long sending may take at the end. */
  readonly flushMs?: number
}

/** Undefined where there is nobody to tell traces to: nothing of OpenTelemetry's SDK is loaded then. */
export function createTracing(
  { tracing: config, logPaths, workers }: Pick<Config, 'tracing' | 'logPaths' | 'workers'>,
  { version, log, flushMs = 2000 }: TracingOptions,
): Tracing | undefined {
  if (config === undefined) return undefined
  const counts: SpanCounts = { exported: 0, failed: 0, dropped: 0 }
  const { origin } = new URL(config.url)
  let beginTrace: BeginTrace | undefined
  let shutdown = async () => {}
  let fails = false

  /** Says when it begins to fail and when it ends, not each time. */
  function onBatch(error: Error | undefined): void {
    if (error !== undefined && !fails) {
      log.warn({ collector: origin, error: reasonOf(error) }, `traces cannot be sent to ${origin}`)
    } else if (error === undefined && fails)
      log.info({ collector: origin }, `traces are sent to ${origin} again`)
    fails = error !== undefined
  }

  return {
    counts,
    async start() {
      const [{ createSpanExport }, { createSpans }] = await Promise.all([
        import('./span-export.ts'),
        import('./spans.ts'),
      ])
      const exported = createSpanExport({ config, version, isOneOfSeveral: workers > 1, counts, onBatch })
      beginTrace = createSpans(exported.tracer, logPaths === 'full')
      shutdown = exported.shutdown
    },
    begin: (incoming, context) => beginTrace!(incoming, context),
    async stop() {
      const tooLate = new AbortController()
      const sent = shutdown().then(
        () => true,
        () => true,
      )
      const isOver = await Promise.race([sent, delay(flushMs, false, tooLate).catch(() => false)])
      tooLate.abort()
      if (!isOver) log.warn({ collector: origin }, `traces that were not sent to ${origin} in time are lost`)
    },
  }
}

/** What a collector answers may be anything: its status says enough. */
function reasonOf(error: Error): string {
  const { code } = error as { code?: unknown }
  if (typeof code === 'number') return `it answers ${code}`
  return typeof code === 'string' ? code : error.message
}
