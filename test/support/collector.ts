import { EventEmitter, once } from 'node:events'
import type http from 'node:http'
import { gunzipSync } from 'node:zlib'
import type { ExecutionContext } from 'ava'
import { type Message, protobufMessage } from './protobuf.ts'
import { httpUpstream } from './upstream.ts'

/** A span as a collector gets it. */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  /** Empty for a root. */
  readonly parentId: string
  readonly name: string
  readonly kind: 'server' | 'client' | 'other'
  readonly attributes: Readonly<Record<string, string | number>>
  readonly isError: boolean
  readonly traceState: string
  readonly durationNs: bigint
  /** Of the process that sent it. */
  readonly resource: Readonly<Record<string, string | number>>
}

export interface Collector {
  readonly origin: string
  readonly spans: readonly ReceivedSpan[]
  readonly requests: readonly { readonly url: string; readonly headers: http.IncomingHttpHeaders }[]
  /** Resolves once there are as many spans that this is true of. */
  received(count: number, of?: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan[]>
}

export interface CollectorOptions {
  /** Answers instead of taking what came, where it returns true. */
  readonly answer?: (response: http.ServerResponse) => boolean
}

/** An OpenTelemetry collector: OTLP over HTTP in protobuf, read by no code of OpenTelemetry's. */
export async function startCollector(
  t: ExecutionContext,
  options: CollectorOptions = {},
): Promise<Collector> {
  const spans: ReceivedSpan[] = []
  const requests: Collector['requests'][number][] = []
  const news = new EventEmitter()
  const { origin } = await httpUpstream(t, (incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      requests.push({ url: incoming.url ?? '', headers: incoming.headers })
      if (options.answer?.(response)) return
      const body = Buffer.concat(chunks)
      spans.push(...spansOf(incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body))
      response.setHeader('content-type', 'application/x-protobuf').end()
      news.emit('spans')
    })
  })
  return {
    ...{ origin, spans, requests },
    async received(count, of = () => true) {
      while (spans.filter(of).length < count) await once(news, 'spans')
      return spans.filter(of)
    },
  }
}

/** opentelemetry/proto/collector/trace/v1 and trace/v1, as far as it is looked at. */
function spansOf(body: Buffer): ReceivedSpan[] {
  return protobufMessage(body)
    .messages(1)
    .flatMap((resourceSpans) => {
      const resource = attributesOf(resourceSpans.messages(1)[0]?.messages(1) ?? [])
      return resourceSpans
        .messages(2)
        .flatMap((scopeSpans) => scopeSpans.messages(2).map((span) => spanOf(span, resource)))
    })
}

function spanOf(span: Message, resource: ReceivedSpan['resource']): ReceivedSpan {
  return {
    traceId: span.bytes(1).toString('hex'),
    spanId: span.bytes(2).toString('hex'),
    traceState: span.bytes(3).toString(),
    parentId: span.bytes(4).toString('hex'),
    name: span.bytes(5).toString(),
    kind: ({ 2: 'server', 3: 'client' } as const)[span.number(6)] ?? 'other',
    attributes: attributesOf(span.messages(9)),
    isError: span.messages(15)[0]?.number(3) === 2,
    durationNs: span.fixed64(8) - span.fixed64(7),
    resource,
  }
}

function attributesOf(pairs: readonly Message[]): Record<string, string | number> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const value = pair.messages(2)[0]!
      return [pair.bytes(1).toString(), value.has(1) ? value.bytes(1).toString() : value.number(3)]
    }),
  )
}
