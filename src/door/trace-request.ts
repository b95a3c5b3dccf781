import type { IncomingMessage } from 'node:http'
import type { RequestTrace } from '../observability/trace.ts'
import type { Tracing } from '../observability/tracing.ts'
import type { Caller } from './forwarded.ts'
import { probes } from './health.ts'
import { readTraceContext } from './trace-context.ts'

/** The trace of a request: its caller's, gone on with where traces are on; where they are, every request has one. */
export function beginTrace(
  { rawHeaders, method = '', url = '', httpVersion }: IncomingMessage,
  { proto: scheme, host }: Caller,
  tracing: Pick<Tracing, 'begin'> | undefined,
): RequestTrace | undefined {
  const context = readTraceContext(rawHeaders)
  if (tracing === undefined || (context === undefined && probes.has(url))) return context
  return tracing.begin({ method, httpVersion, scheme, host }, context)
}
