import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { listenOnOwnPort } from './ports.ts'

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
  /** The object as it was until then, with the version of the change. */
  readonly before: Json | undefined
}
interface Stream {
  readonly kind: Kind
  readonly namespace: string | undefined
  /** A label that objects must have: `labelSelector`, of which only this form is understood. */
  readonly label: string | undefined
  readonly response: ServerResponse
  silent: boolean
}

const groups = {
  services: { kind: 'Service', apiVersion: 'v1' },
  endpointslices: { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1' },
} as const
/** What a bookmark's object has beside its version: everything that Go does not leave out. */
const empty = {
  services: { spec: {}, status: { loadBalancer: {} } },
  endpointslices: { addressType: '', endpoints: null, ports: null },
} as const
const head = { 'cache-control': 'no-cache, private', 'content-type': 'application/json' }
const pathPattern =
  /^\/(?:api\/v1|apis\/discovery\.k8s\.io\/v1)(?:\/namespaces\/([^/]+))?\/(services|endpointslices)$/

/**
 * An API server on a real socket: list and watch of Services and EndpointSlices, and what may go wrong. Replies and
 * events have the form of those of kube-apiserver 1.35, with which it was compared.
 */
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
    const refuse = (code: number, status = statusOf(code, call)) => {
      finish(code)
      response.writeHead(code, head).end(`${JSON.stringify(status)}\n`)
    }
    if (holding) return
    if (request.headers.authorization !== `Bearer ${token}`) return refuse(401)
    if (fault?.which(call)) return refuse(fault.status)
    if (verb === 'other') return refuse(kind === undefined ? 404 : 403)
    if (verb === 'list') return list(kind as Kind, namespace, query, response, finish, refuse)
    const from = Number(query.resourceVersion)
    finish(200)
    response.writeHead(200, head).flushHeaders()
    if (from < compactedAt) {
      // Not by its status: the server says so in the stream, and ends it.
      const message = `too old resource version: ${from} (${compactedAt})`
      response.end(event('ERROR', { ...statusOf(410), message }))
      return
    }
    const stream = { kind: kind as Kind, namespace, label: query.labelSelector, response, silent: false }
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
    refuse: (code: number, status?: Json) => void,
  ): void {
    let rest: readonly Stored[]
    if (query.continue !== undefined) {
      const known = continuations.get(query.continue)
      if (known === undefined) {
        refuse(410, expiredPages)
        return
      }
      rest = known
    } else {
      const wanted = { kind, namespace, label: query.labelSelector }
      rest = [...objects.values()].filter((stored) => concerns(wanted, stored.kind, stored.object))
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
      .writeHead(200, head)
      .end(`${JSON.stringify({ kind: `${name}List`, apiVersion, metadata, items })}\n`)
  }

  /** An object that comes to concern the watcher is new to it; one that no longer does is deleted, as it was. */
  function tell(stream: Stream, { kind, type, object, before }: Change): void {
    if (stream.silent || stream.response.writableEnded) return
    const is = type !== 'DELETED' && concerns(stream, kind, object)
    const was = before !== undefined && concerns(stream, kind, before)
    if (is) stream.response.write(event(was ? 'MODIFIED' : 'ADDED', { ...groups[kind], ...object }))
    else if (was) stream.response.write(event('DELETED', { ...groups[kind], ...before }))
  }

  function change(type: Change['type'], kind: Kind, object: Json): void {
    version += 1
    const versioned = ({ metadata, ...rest }: Json) => ({
      metadata: { ...(metadata as Json), resourceVersion: String(version) },
      ...rest,
    })
    const key = keyOf(kind, object.metadata as Json)
    const last = objects.get(key)?.object
    const before = last && versioned(last)
    const stored: Change = { kind, version, type, object: versioned(object), before }
    if (type === 'DELETED') objects.delete(key)
    else objects.set(key, stored)
    changes.push(stored)
    for (const stream of streams) tell(stream, stored)
  }

  const server =
    options.tls === undefined ? http.createServer(handle) : https.createServer(options.tls, handle)
  const port = await listenOnOwnPort(server)
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
          const metadata = { resourceVersion: String(version) }
          response.write(event('BOOKMARK', { ...groups[kind], metadata, ...empty[kind] }))
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
    async start() {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
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

function event(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`
}

/** metav1.Status, as the API server words it. */
function statusOf(
  code: number,
  { verb = 'list', kind = 'services', namespace = '' }: Partial<SeenCall> = {},
): Json {
  const group = kind === 'services' ? '' : 'discovery.k8s.io'
  const resource = group === '' ? kind : `${kind}.${group}`
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`
  const whom = 'User "system:serviceaccount:default:gateway"'
  const reasons: Record<number, readonly [string, string]> = {
    401: ['Unauthorized', 'Unauthorized'],
    403: [
      'Forbidden',
      `${resource} is forbidden: ${whom} cannot ${verb} resource "${kind}" in API group "${group}" ${where}`,
    ],
    410: ['Expired', 'too old resource version: 1 (2)'],
  }
  const [reason, message] = reasons[code] ?? ['InternalError', 'an error on the server']
  const details = code === 403 && { details: { ...(group !== '' && { group }), kind } }
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...details,
    code,
  }
}

const expiredPages: Json = {
  ...statusOf(410),
  metadata: { continue: 'eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiczFcdTAwMDAifQ' },
  message:
    'The provided continue parameter is too old to display a consistent list result. You can start a new list ' +
    'without the continue parameter, or use the continue token in this response to retrieve the remainder of the ' +
    'results. Continuing with the provided token results in an inconsistent list - objects that were created, ' +
    'modified, or deleted between the time the first chunk was returned and now may show up in the list.',
}

function keyOf(kind: Kind, { namespace, name }: Json): string {
  return `${kind}/${namespace}/${name}`
}

/** Whether a list or watch is about this object. */
function concerns(
  wanted: Pick<Stream, 'kind' | 'namespace' | 'label'>,
  kind: Kind,
  { metadata }: Json,
): boolean {
  const { namespace, labels = {} } = metadata as { namespace: string; labels?: Json }
  if (kind !== wanted.kind || (wanted.namespace !== undefined && wanted.namespace !== namespace)) return false
  return wanted.label === undefined || wanted.label in labels
}
