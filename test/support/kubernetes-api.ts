import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'

export type Kind = 'services' | 'endpointslices'
type Json = Readonly<Record<string, unknown>>

/** A request that the fake has seen, answered or not. */
export interface SeenCall {
  readonly method: string
  readonly kind: string
  readonly namespace: string | undefined
  readonly verb: 'list' | 'watch' | 'other'
  readonly query: Readonly<Record<string, string>>
  readonly status: number
  /** Milliseconds of performance.now. */
  readonly at: number
}

export interface KubernetesApi {
  readonly url: string
  readonly calls: readonly SeenCall[]
  /** Creates or changes an object; its watchers hear of it. */
  put(kind: Kind, object: Json): void
  remove(kind: Kind, namespace: string, name: string): void
  /** Forgets every event so far: a watch from before now is answered 410, as after etcd's compaction. */
  compact(): void
  /** Answers requests with this status from now on; undefined mends them. */
  answer(status: number | undefined, which?: (call: Omit<SeenCall, 'status'>) => boolean): void
  /** Takes requests and answers none, while true. */
  hold(on: boolean): void
  /** What is done to every watch that is open. */
  streams: {
    bookmark(): void
    /** A Status object in the stream. */
    error(code: number): void
    /** Half of an event, then a reset. */
    breakInMidEvent(): void
    /** Ends the stream as the server does at timeoutSeconds. */
    end(): void
    write(text: string): void
    /** From now on streams that are open say nothing more, whatever happens. New ones are well. */
    silence(): void
    open(): number
  }
  /** The only token that is believed. */
  expect(token: string): void
  /** Takes all connections away, and new ones until `start`. */
  stop(): Promise<void>
  start(): Promise<void>
  connections(): Promise<number>
  /** A kubeconfig file whose context's namespace is `default`; `user` is written as it is. */
  kubeconfig(user?: Json): Promise<string>
}

interface Stored {
  readonly kind: Kind
  readonly version: number
  readonly object: Json
}
interface Change extends Stored {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
}
interface Stream {
  readonly kind: Kind
  readonly namespace: string | undefined
  readonly response: ServerResponse
  silent: boolean
}

const groups = {
  services: { apiVersion: 'v1', kind: 'Service' },
  endpointslices: { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' },
} as const
const pathPattern =
  /^\/(?:api\/v1|apis\/discovery\.k8s\.io\/v1)(?:\/namespaces\/([^/]+))?\/(services|endpointslices)$/

/** An API server on a real socket: list and watch of Services and EndpointSlices, and what may go wrong. */
export async function startKubernetesApi(
  t: ExecutionContext,
  options: { tls?: { key: string; cert: string }; token?: string } = {},
): Promise<KubernetesApi> {
  const calls: SeenCall[] = []
  const objects = new Map<string, Stored>()
  const streams = new Set<Stream>()
  const continuations = new Map<string, readonly Stored[]>()
  let changes: Change[] = []
  let version = 100
  let compactedAt = 0
  let holding = false
  let token = options.token ?? 'good-token'
  let fault: { status: number; which: (call: Omit<SeenCall, 'status'>) => boolean } | undefined

  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://fake')
    const [, namespace, kind] = pathPattern.exec(url.pathname) ?? []
    const query = Object.fromEntries(url.searchParams)
    const verb =
      kind === undefined || request.method !== 'GET' ? 'other' : query.watch === 'true' ? 'watch' : 'list'
    const call = {
      method: request.method ?? '',
      kind: kind ?? '',
      namespace,
      verb,
      query,
      at: performance.now(),
    } as const
    const finish = (status: number) => void calls.push({ ...call, status })
    const refuse = (code: number) => {
      finish(code)
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(statusOf(code)))
    }
    if (holding) return
    if (request.headers.authorization !== `Bearer ${token}`) return refuse(401)
    if (fault?.which(call)) return refuse(fault.status)
    if (verb === 'other') return refuse(kind === undefined ? 404 : 403)
    if (verb === 'list') return list(kind as Kind, namespace, query, response, finish, refuse)
    const from = Number(query.resourceVersion)
    if (from < compactedAt) return refuse(410)
    finish(200)
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
    const stream = { kind: kind as Kind, namespace, response, silent: false }
    streams.add(stream)
    response.on('close', () => streams.delete(stream))
    for (const change of changes) if (change.version > from) tell(stream, change)
  }

  function list(
    kind: Kind,
    namespace: string | undefined,
    query: Record<string, string>,
    response: ServerResponse,
    finish: (status: number) => void,
    refuse: (code: number) => void,
  ): void {
    let rest: readonly Stored[]
    if (query.continue !== undefined) {
      const known = continuations.get(query.continue)
      if (known === undefined) {
        refuse(410)
        return
      }
      rest = known
    } else {
      rest = [...objects.values()].filter((stored) => stored.kind === kind && isIn(stored.object, namespace))
    }
    const limit = query.limit === undefined ? rest.length : Number(query.limit)
    const [page, later] = [rest.slice(0, limit), rest.slice(limit)]
    const metadata: Record<string, unknown> = { resourceVersion: String(version) }
    if (later.length > 0) {
      const key = `page-${continuations.size + 1}`
      continuations.set(key, later)
      Object.assign(metadata, { continue: key, remainingItemCount: later.length })
    }
    finish(200)
    const { apiVersion, kind: name } = groups[kind]
    const items = page.map(({ object }) => object)
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ kind: `${name}List`, apiVersion, metadata, items }))
  }

  function tell(stream: Stream, { kind, type, object }: Change): void {
    if (
      stream.silent ||
      stream.response.writableEnded ||
      stream.kind !== kind ||
      !isIn(object, stream.namespace)
    )
      return
    stream.response.write(`${JSON.stringify({ type, object: { ...groups[kind], ...object } })}\n`)
  }

  function change(type: Change['type'], kind: Kind, object: Json): void {
    version += 1
    const metadata = { ...(object.metadata as Json), resourceVersion: String(version) }
    const stored: Change = { kind, version, type, object: { ...object, metadata } }
    const key = keyOf(kind, metadata)
    if (type === 'DELETED') objects.delete(key)
    else objects.set(key, stored)
    changes.push(stored)
    for (const stream of streams) tell(stream, stored)
  }

  const server =
    options.tls === undefined ? http.createServer(handle) : https.createServer(options.tls, handle)
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  await listen(0)
  const { port } = server.address() as AddressInfo
  const url = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  async function stop(): Promise<void> {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  t.teardown(stop)
  const each = (act: (stream: Stream) => void) => {
    for (const stream of [...streams]) {
      if (!stream.response.writableEnded) act(stream)
    }
  }
  const event = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`

  return {
    url,
    calls,
    put(kind, object) {
      change(objects.has(keyOf(kind, object.metadata as Json)) ? 'MODIFIED' : 'ADDED', kind, object)
    },
    remove(kind, namespace, name) {
      change('DELETED', kind, objects.get(keyOf(kind, { namespace, name }))!.object)
    },
    compact() {
      version += 1
      changes = []
      compactedAt = version
      continuations.clear()
    },
    answer(status, which = () => true) {
      fault = status === undefined ? undefined : { status, which }
    },
    hold(on) {
      holding = on
    },
    streams: {
      bookmark: () =>
        each(({ kind, response }) => {
          const metadata = { resourceVersion: String(version), creationTimestamp: null }
          response.write(event('BOOKMARK', { ...groups[kind], metadata }))
        }),
      error: (code) => each(({ response }) => void response.end(event('ERROR', statusOf(code)))),
      breakInMidEvent: () =>
        each((stream) => {
          const { response } = stream
          stream.silent = true
          response.write('{"type":"ADDED","object":{"kind":"Serv', () => response.socket?.resetAndDestroy())
        }),
      end: () => each(({ response }) => void response.end()),
      write: (text) => each(({ response }) => void response.write(text)),
      silence: () =>
        each((stream) => {
          stream.silent = true
        }),
      open: () => streams.size,
    },
    expect(next) {
      token = next
    },
    stop,
    start: () => listen(port),
    connections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
      }),
    async kubeconfig(user = { token }) {
      const folder = await mkdtemp(join(tmpdir(), 'munjigi-kube-'))
      t.teardown(() => rm(folder, { recursive: true, force: true }))
      const ca =
        options.tls === undefined
          ? // client-node speaks plain HTTP only to whom no certificate is asked of.
            { 'insecure-skip-tls-verify': true }
          : { 'certificate-authority-data': Buffer.from(options.tls.cert).toString('base64') }
      const file = join(folder, 'config')
      await writeFile(
        file,
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Config',
          'current-context': 'fake',
          clusters: [{ name: 'fake', cluster: { server: url, ...ca } }],
          contexts: [
            { name: 'fake', context: { cluster: 'fake', user: 'gateway' } },
            { name: 'shop', context: { cluster: 'fake', user: 'gateway', namespace: 'shop' } },
          ],
          users: [{ name: 'gateway', user }],
        }),
      )
      return file
    },
  }
}

/** metav1.Status, as the API server words it. */
function statusOf(code: number): Json {
  const reasons: Record<number, readonly [string, string]> = {
    401: ['Unauthorized', 'Unauthorized'],
    403: ['Forbidden', 'services is forbidden: User "gateway" cannot list resource "services"'],
    410: ['Expired', 'too old resource version: 1 (2)'],
  }
  const [reason, message] = reasons[code] ?? ['InternalError', 'an error on the server']
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code }
}

function keyOf(kind: Kind, { namespace, name }: Json): string {
  return `${kind}/${namespace}/${name}`
}

function isIn(object: Json, namespace: string | undefined): boolean {
  return namespace === undefined || (object.metadata as Json).namespace === namespace
}
