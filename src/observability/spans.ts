import {
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  type SpanAttributes,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import {
  ATTR_CLIENT_ADDRESS,
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_REQUEST_METHOD_ORIGINAL,
  ATTR_HTTP_REQUEST_RESEND_COUNT,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_NETWORK_PROTOCOL_VERSION,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_URL_FULL,
  ATTR_URL_PATH,
  ATTR_URL_SCHEME,
  HTTP_REQUEST_METHOD_VALUE_OTHER,
} from '@opentelemetry/semantic-conventions'
import type { TraceContext } from '../door/trace-context.ts'
import type { AccessEntry } from './log.ts'
import type { Attempt, AttemptSpan, RequestSpan, RequestTrace } from './trace.ts'

/** What is known of a request when it comes. */
export interface Incoming {
  readonly method: string
  readonly httpVersion: string
  readonly scheme: 'http' | 'https'
  /** As the caller named it, with its port where it is not the usual one. */
  readonly host: string | undefined
}

const attrService = 'munjigi.service'
const attrRequestId = 'munjigi.request_id'

/** Begins the trace of a request, or goes on with its caller's. */
export type BeginTrace = (incoming: Incoming, context: TraceContext | undefined) => RequestTrace

/**
 * Spans by OpenTelemetry's conventions for HTTP. They are made of the tracer that is given and hang together by hand:
 * nothing global, and nothing that follows asynchronous calls.
 *
 * @param tellsPaths whether paths are told, or the route alone; queries never are
 */
export function createSpans(tracer: Tracer, tellsPaths: boolean): BeginTrace {
  return (incoming, context) => {
    const parent = context === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote(context))
    const method = knownMethod(incoming.method)
    const attributes: SpanAttributes = {
      [ATTR_HTTP_REQUEST_METHOD]: method,
      [ATTR_URL_SCHEME]: incoming.scheme,
    }
    const span = tracer.startSpan(nameOf(method), { kind: SpanKind.SERVER, attributes }, parent)
    const { traceId, spanId } = span.spanContext()
    const passedOn = context?.tracestate === undefined ? [] : ['tracestate', context.tracestate]
    // Whether its id is random is said by who made it (Level 2 of the specification), and not forgotten.
    const random = (context?.flags ?? 0) & randomFlag
    if (!span.isRecording()) {
      const traceparent = traceparentOf(traceId, spanId, random)
      return { traceId, passedOn, span: unsampled({ traceparent, end() {} }) }
    }
    const told = { ...incoming, method, tellsPaths, random }
    return { traceId, passedOn, span: sampled(tracer, span, told) }
  }
}

interface Told extends Incoming {
  readonly tellsPaths: boolean
  readonly random: number
}

function sampled(tracer: Tracer, span: Span, told: Told): RequestSpan {
  // Made for the first attempt, and needed for no other span.
  let parent = ROOT_CONTEXT
  return {
    attempt(attempt) {
      if (parent === ROOT_CONTEXT) parent = trace.setSpan(ROOT_CONTEXT, span)
      const attributes = attemptAttributes(attempt, told)
      const method = knownMethod(attempt.method)
      const own = tracer.startSpan(nameOf(method), { kind: SpanKind.CLIENT, attributes }, parent)
      const { traceId, spanId } = own.spanContext()
      return {
        traceparent: traceparentOf(traceId, spanId, TraceFlags.SAMPLED | told.random),
        end: (status, errorCode) => endAttempt(own, status, errorCode),
      }
    },
    end: (entry) => endRequest(span, entry, told),
  }
}

const unsampled = (attempt: AttemptSpan): RequestSpan => ({ attempt: () => attempt, end() {} })

function attemptAttributes(attempt: Attempt, { tellsPaths }: Told): SpanAttributes {
  const { origin } = attempt
  const method = knownMethod(attempt.method)
  const attributes: SpanAttributes = {
    [ATTR_HTTP_REQUEST_METHOD]: method,
    [ATTR_NETWORK_PROTOCOL_VERSION]: '1.1',
    [attrService]: attempt.service,
  }
  addServer(attributes, origin.startsWith('https:') ? 'https' : 'http', origin.slice(origin.indexOf('/') + 2))
  if (method !== attempt.method) attributes[ATTR_HTTP_REQUEST_METHOD_ORIGINAL] = attempt.method
  if (tellsPaths) attributes[ATTR_URL_FULL] = origin + withoutQuery(attempt.url)
  if (attempt.resendCount > 0) attributes[ATTR_HTTP_REQUEST_RESEND_COUNT] = attempt.resendCount
  return attributes
}

/** To who asks, 4xx is an error too. */
function endAttempt(span: Span, status: number, errorCode: string | undefined): void {
  if (status !== 0) span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, status)
  const error = errorCode ?? (status >= 400 ? String(status) : undefined)
  if (error !== undefined) {
    span.setAttribute(ATTR_ERROR_TYPE, error)
    span.setStatus({ code: SpanStatusCode.ERROR })
  }
  span.end()
}

function endRequest(span: Span, entry: AccessEntry, told: Told): void {
  const { method, route, status, service, errorCode } = entry
  const attributes: SpanAttributes = {
    [ATTR_CLIENT_ADDRESS]: entry.clientAddress,
    [ATTR_NETWORK_PROTOCOL_VERSION]: told.httpVersion,
    [attrRequestId]: entry.requestId,
  }
  if (told.method !== method) attributes[ATTR_HTTP_REQUEST_METHOD_ORIGINAL] = method
  if (told.tellsPaths) attributes[ATTR_URL_PATH] = entry.path
  if (route !== undefined) {
    attributes[ATTR_HTTP_ROUTE] = route
    span.updateName(nameOf(told.method, route))
  }
  if (service !== undefined) attributes[attrService] = service
  if (told.host !== undefined) addServer(attributes, told.scheme, told.host)
  // Nobody was sent the status of a request whose caller left.
  const hasLeft = status === 499
  if (!hasLeft) attributes[ATTR_HTTP_RESPONSE_STATUS_CODE] = status
  // One that broke off after its head has a good status, and a code.
  const hasFailed = status >= 500 || (status < 400 && errorCode !== undefined)
  if (hasFailed || hasLeft) attributes[ATTR_ERROR_TYPE] = errorCode ?? String(status)
  span.setAttributes(attributes)
  if (hasFailed) span.setStatus({ code: SpanStatusCode.ERROR })
  span.end()
}

function addServer(attributes: SpanAttributes, scheme: 'http' | 'https', host: string): void {
  const [, name = host, port] = /^(.*?)(?::(\d+))?$/.exec(host) ?? []
  attributes[ATTR_SERVER_ADDRESS] = unbracketed(name)
  attributes[ATTR_SERVER_PORT] = port === undefined ? (scheme === 'https' ? 443 : 80) : Number(port)
}

const remote = ({ traceId, parentId, flags, tracestate }: TraceContext) => ({
  traceId,
  spanId: parentId,
  traceFlags: flags & TraceFlags.SAMPLED,
  isRemote: true,
  ...(tracestate !== undefined && { traceState: createTraceState(tracestate) }),
})

const randomFlag = 0x02

const traceparentOf = (traceId: string, spanId: string, flags: number) => `00-${traceId}-${spanId}-0${flags}`

/** Of the methods that the conventions know; others could be made up without end. */
const methods = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'QUERY',
])

const knownMethod = (method: string) => (methods.has(method) ? method : HTTP_REQUEST_METHOD_VALUE_OTHER)

function nameOf(method: string, route?: string): string {
  const name = method === HTTP_REQUEST_METHOD_VALUE_OTHER ? 'HTTP' : method
  return route === undefined ? name : `${name} ${route}`
}

const unbracketed = (host: string) => host.replace(/^\[(.*)\]$/, '$1')

function withoutQuery(url: string): string {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}
