import type { IncomingMessage } from 'node:http'
import type { RequestTrace } from '../observability/trace.ts'
import type { Tracing } from '../observability/tracing.ts'
import type { Caller } from './forwarded.ts'
import { readTraceContext } from './trace-context.ts'

/** Asked every few seconds by who watches over the gateway: nobody looks for them in a trace. */
const probes = new Set(['/livez', '/readyz', '/metrics'])

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
