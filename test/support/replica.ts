import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { startProcess, type TestProcess } from './processes.ts'
import { type Reply, type RequestOptions, request } from './request.ts'
import { until } from './until.ts'

/** One of several gateways on one PostgreSQL, a process each. */
export interface Replica {
  readonly url: string
  readonly process: TestProcess
  /** Over connections that stay open. */
  ask(path: string, token?: string, options?: RequestOptions): Promise<Reply>
  /** POSTs JSON as the client of GATEWAY_CLIENTS. */
  post(path: string, body: unknown): Promise<Reply>
  create(subject?: string): Promise<TokenPair>
  isReady(): Promise<boolean>
  /** kill -9, and waits until it is gone. */
  kill(): Promise<void>
}

export interface TokenPair {
  readonly access_token: string
  readonly refresh_token: string
}

export interface ReplicaOptions {
  /** The house under `/api/house`, guarded, but for `/api/house/open`. */
  readonly house: string
  readonly env: Readonly<Record<string, string>>
  /** Further services of its gateway.yaml. */
  readonly services?: Readonly<Record<string, unknown>>
  readonly nodeOptions?: readonly string[]
}

/** Starts one; resolves as soon as it listens, ready or not. */
export async function startReplica(t: ExecutionContext, options: ReplicaOptions): Promise<Replica> {
  const { house, env, services = {}, nodeOptions = [] } = options
  const cwd = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(cwd, { recursive: true, force: true }))
  const path = ['/api/house', '/api/house/open; auth=none']
  const file = { services: { house: { urls: [house], openapi: false, path }, ...services } }
  await writeFile(join(cwd, 'gateway.yaml'), JSON.stringify(file))
  const settings = { NODE_ENV: 'test', HOST: '127.0.0.1', PORT: '0', DRAIN_DELAY: '0s', ...env }
  const process = startProcess(t, 'src/main.ts', settings, { cwd, nodeOptions })
  const [, url = ''] = await process.printed(/listens on (http:\/\/[\w.]+:\d+)/)
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const basic = Buffer.from(env.GATEWAY_CLIENTS ?? '').toString('base64')

  const ask: Replica['ask'] = (to, token, given = {}) =>
    request(url + to, {
      agent,
      ...given,
      headers: { ...given.headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    })
  const post: Replica['post'] = (to, body) =>
    ask(to, undefined, {
      method: 'POST',
      headers: { authorization: `Basic ${basic}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  return {
    url,
    process,
    ask,
    post,
    async create(subject = 'user-1') {
      const { status, body } = await post('/tokens/create', { subject })
      if (status !== 200) throw new Error(`no token: ${status} ${body}`)
      return JSON.parse(body)
    },
    isReady: async () => (await ask('/readyz')).status === 200,
    async kill() {
      process.kill('SIGKILL')
      await process.exited
    },
  }
}

/** The same, ready. */
export async function startReadyReplica(t: ExecutionContext, options: ReplicaOptions): Promise<Replica> {
  const replica = await startReplica(t, options)
  await until(replica.isReady, 'the replica is ready')
  return replica
}

/** Makes a process's clock wrong by so much; its monotonic clock goes right. */
export function clockSkew(ms: number): readonly string[] {
  const code = `
    const Right = Date
    const now = () => Right.now() + (${ms})
    globalThis.Date = class Date extends Right {
      constructor(...given) { super(...(given.length === 0 ? [now()] : given)) }
      static now() { return now() }
    }`
  return ['--import', `data:text/javascript,${encodeURIComponent(code)}`]
}
