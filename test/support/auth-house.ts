import { randomUUID } from 'node:crypto'
import { type AuthServer, type StartOptions, startAuthService } from '../../services/auth/server.ts'
import { openEmbedded } from '../../src/persistence/embedded.ts'
import type { EmbeddedConfig, PostgresConfig } from './database.ts'
import { patientSettings } from './patient-settings.ts'
import { startTokenEndpoint, type TokenEndpoint } from './token-endpoint.ts'
import { until } from './until.ts'

export interface AuthHouse extends AuthServer {
  /** What it has printed. */
  readonly lines: readonly string[]
  /** The stand-in for the gateway's, which it has tokens issued by. */
  readonly gateway: TokenEndpoint
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<HouseReply>
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<HouseReply>
}

export interface HouseReply {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what it asked for
  readonly body: any
}

/** The auth service with its tables, and beside it a stand-in for the gateway. */
export async function startAuthHouse(
  config: EmbeddedConfig | PostgresConfig,
  env: Readonly<Record<string, string>> = {},
): Promise<AuthHouse> {
  const embedded = config.kind === 'embedded' ? openEmbedded(config.dataDir) : undefined
  const house = await startBareHouse(
    { ...(config.kind === 'postgres' && { DATABASE_URL: config.url }), ...env },
    embedded === undefined ? {} : { embedded },
  )
  // Any account will do: there is none yet.
  const answers = async () =>
    (await house.post('/user/login', { email: email(), password: 'x' })).status === 401
  await until(answers, 'the database of the auth service is there')
  return {
    ...house,
    async stop() {
      await house.stop()
      await embedded?.close()
    },
  }
}

/** The same, not waiting for a database. */
export async function startBareHouse(
  env: Readonly<Record<string, string>>,
  options: Partial<StartOptions> = {},
): Promise<AuthHouse> {
  const lines: string[] = []
  const gateway = await startTokenEndpoint()
  const house = await startAuthService({
    env: { ...patientSettings, AUTH_PORT: '0', AUTH_HOST: '127.0.0.1', GATEWAY_URL: gateway.url, ...env },
    log: { line: (text) => void lines.push(text) },
    ...options,
  })
  async function send(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body?: string,
  ) {
    const reply = await fetch(house.url + path, {
      method,
      // Every request comes from somewhere else, unless the test says where from.
      headers: { 'X-Forwarded-For': address(), ...headers },
      ...(body !== undefined && { body }),
    })
    return { status: reply.status, headers: reply.headers, body: await reply.json() }
  }
  return {
    ...house,
    lines,
    gateway,
    post: (path, body, headers = {}) =>
      send(
        'POST',
        path,
        { 'Content-Type': 'application/json', ...headers },
        typeof body === 'string' ? body : JSON.stringify(body),
      ),
    get: (path, headers = {}) => send('GET', path, headers),
    async stop() {
      await house.stop()
      await gateway.stop()
    },
  }
}

/** One that nobody else has. */
export const email = () => `${randomUUID()}@example.com`
let addresses = 0
export function address(): string {
  addresses += 1
  return `10.${addresses >> 16}.${(addresses >> 8) & 255}.${addresses & 255}`
}
