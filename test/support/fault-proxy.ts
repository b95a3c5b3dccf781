import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http'
import type { ExecutionContext } from 'ava'
import { listenOnOwnPort } from './ports.ts'

/** What goes wrong between an HTTP client and a server that is well. */
export type Fault =
  | { readonly kind: 'frozen' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'status'; readonly status: number }
  /** The reply's head is changed: `undefined` takes a header away. */
  | { readonly kind: 'headers'; readonly headers: Readonly<Record<string, string | undefined>> }
  /** Half of the body, then the connection is cut. */
  | { readonly kind: 'truncated' }
  /** Half of the body as a whole reply: sound HTTP, unsound JSON. */
  | { readonly kind: 'halved' }

export interface SeenRequest {
  /** With its query. */
  readonly path: string
  /** When it came, in milliseconds of performance.now. */
  readonly at: number
  /** What has come of its body. */
  readonly body: string
}

export interface FaultProxy {
  readonly address: string
  /** Every request so far. */
  readonly requests: readonly SeenRequest[]
  /** Connections open now. */
  connections(): Promise<number>
  /**
   * From now on, requests whose path matches meet the fault; those in flight meet it at once. `undefined` mends
   * everything.
   */
  set(fault: Fault | undefined, matches?: (path: string) => boolean): void
}

interface Pending {
  readonly path: string
  readonly reply: ServerResponse
  readonly abandon: () => void
}

/** A reverse proxy on a real socket that breaks what it is told to break. */
export async function startFaultProxy(t: ExecutionContext, upstreamPort: number): Promise<FaultProxy> {
  const requests: { path: string; at: number; body: string }[] = []
  const pending = new Set<Pending>()
  let fault: Fault | undefined
  let matches: (path: string) => boolean = () => true

  const server = createServer((incoming, reply) => {
    const path = incoming.url ?? '/'
    const seen = { path, at: performance.now(), body: '' }
    requests.push(seen)
    incoming.on('data', (chunk: Buffer) => {
      seen.body += chunk.toString()
    })
    const current = matches(path) ? fault : undefined
    if (current === undefined || !isImmediate(current)) {
      const abandon = relay(incoming, reply, upstreamPort, () => (matches(path) ? fault : undefined))
      const entry = { path, reply, abandon }
      pending.add(entry)
      reply.on('close', () => pending.delete(entry))
    } else {
      inject(current, reply)
    }
  })
  const port = await listenOnOwnPort(server)
  t.teardown(() => {
    for (const { abandon } of pending) abandon()
    server.close()
    server.closeAllConnections()
  })

  return {
    address: `127.0.0.1:${port}`,
    requests,
    connections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
      }),
    set(next, which = () => true) {
      fault = next
      matches = which
      if (next === undefined || !isImmediate(next)) return
      for (const { path, reply, abandon } of pending) {
        if (!which(path)) continue
        abandon()
        inject(next, reply)
      }
    },
  }
}

type ImmediateFault = Extract<Fault, { kind: 'frozen' | 'reset' | 'status' }>

function isImmediate(fault: Fault): fault is ImmediateFault {
  return fault.kind === 'frozen' || fault.kind === 'reset' || fault.kind === 'status'
}

function inject(fault: ImmediateFault, reply: ServerResponse): void {
  if (fault.kind === 'reset') reply.socket?.resetAndDestroy()
  if (fault.kind === 'status') reply.writeHead(fault.status, { 'content-type': 'text/plain' }).end('injected')
}

/** Forwards one exchange, whole; gives the function that forgets about it. */
function relay(
  incoming: IncomingMessage,
  reply: ServerResponse,
  port: number,
  faultNow: () => Fault | undefined,
): () => void {
  const { method, url: path, headers } = incoming
  let abandoned = false
  const outgoing = request({ host: '127.0.0.1', port, method, path, headers }, async (answer) => {
    try {
      const body = Buffer.concat(await answer.toArray())
      if (!abandoned) respond(faultNow(), answer.statusCode ?? 502, answer.headers, body, reply)
    } catch {
      reply.destroy()
    }
  })
  outgoing.on('error', () => {
    if (!abandoned) reply.destroy()
  })
  reply.on('close', () => outgoing.destroy())
  incoming.pipe(outgoing)
  return () => {
    abandoned = true
    outgoing.destroy()
  }
}

function respond(
  fault: Fault | undefined,
  status: number,
  headers: IncomingHttpHeaders,
  body: Buffer,
  reply: ServerResponse,
): void {
  const half = body.subarray(0, Math.floor(body.length / 2))
  const head: Record<string, string | string[] | undefined> = { ...headers, 'transfer-encoding': undefined }
  if (fault?.kind === 'headers') Object.assign(head, fault.headers)
  head['content-length'] = String(fault?.kind === 'halved' ? half.length : body.length)
  for (const [name, value] of Object.entries(head)) if (value !== undefined) reply.setHeader(name, value)
  reply.writeHead(status)
  if (fault?.kind === 'truncated') reply.write(half, () => reply.socket?.destroy())
  else reply.end(fault?.kind === 'halved' ? half : body)
}
