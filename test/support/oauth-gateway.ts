import { randomBytes, randomUUID } from 'node:crypto'
import { dirname } from 'node:path'
import type { ExecutionContext } from 'ava'
import { openEmbedded } from '../../src/persistence/embedded.ts'
import type { EmbeddedConfig, PostgresConfig } from './database.ts'
import { startGateway, type TestGateway, type TestGatewayOptions } from './gateway.ts'
import { execute } from './postgres.ts'

export interface OAuthGateway extends TestGateway {
  readonly encryptionKey: { readonly id: string; readonly secret: string }
  /** Asks the database itself. */
  sql(query: string): Promise<readonly Record<string, unknown>[]>
  /** An access token of the gateway's for this user. */
  tokenOf(subject: string, more?: Readonly<Record<string, unknown>>): Promise<string>
  /** A new user with an account connected for each code. */
  connected(provider: string, codes: readonly string[]): Promise<Connected>
  send(method: string, path: string, options?: SendOptions): Promise<Answer>
}

export interface Connected {
  readonly subject: string
  /** Those of a request of his. */
  readonly headers: Readonly<Record<string, string>>
  /** Of the connections, in the order of the codes. */
  readonly ids: readonly string[]
}

export interface SendOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON came; the test says what it expects of it.
  readonly json: any
}

export const publicUrl = 'https://gateway.example.com'
export const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
export const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})
export const clientSecret = 'the-secret-of-the-house'
export const asClient = basic('house', clientSecret)

/** The real gateway with logins and a vault, on the given database. */
export async function startOAuthGateway(
  t: ExecutionContext,
  config: EmbeddedConfig | PostgresConfig,
  env: Readonly<Record<string, string>>,
  options: Pick<TestGatewayOptions, 'file'> = {},
): Promise<OAuthGateway> {
  const encryptionKey = { id: 'test', secret: randomBytes(32).toString('base64') }
  const embedded = config.kind === 'embedded' ? openEmbedded(config.dataDir) : undefined
  if (embedded !== undefined) t.teardown(() => embedded.close())
  const gateway = await startGateway(t, {
    ...options,
    env: {
      ...(config.kind === 'embedded'
        ? { DATA_DIR: dirname(config.dataDir), DATABASE_URL: '' }
        : { DATABASE_URL: config.url }),
      PUBLIC_URL: publicUrl,
      ENCRYPTION_KEYS: `${encryptionKey.id}:${encryptionKey.secret}`,
      GATEWAY_CLIENTS: `house:${clientSecret}`,
      TOKEN_RATE_LIMIT: '1000000/1m',
      LOG_LEVEL: 'debug',
      ...env,
    },
    ...(embedded && { embedded }),
  })

  async function send(method: string, path: string, { headers, body }: SendOptions = {}): Promise<Answer> {
    const reply = await fetch(gateway.url + path, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await reply.text()
    const { status } = reply
    return { status, headers: reply.headers, text, json: text === '' ? undefined : JSON.parse(text) }
  }

  async function tokenOf(subject: string, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const { status, json } = await send('POST', `${env.ROUTE_PREFIX ?? ''}/tokens/create`, {
      headers: asClient,
      body: { subject, ...more },
    })
    if (status !== 200) throw new Error(`expected 200, found ${status}`)
    return json.access_token
  }

  return {
    ...gateway,
    encryptionKey,
    send,
    tokenOf,
    async connected(provider, codes) {
      const subject = `user-${randomUUID()}`
      const headers = bearer(await tokenOf(subject))
      const ids: string[] = []
      for (const code of codes) {
        const body = { provider, code }
        const { status, json } = await send('POST', `${env.ROUTE_PREFIX ?? ''}/oauth`, { headers, body })
        if (status !== 201) throw new Error(`expected 201, found ${status}`)
        ids.push(json.id)
      }
      return { subject, headers, ids }
    },
    sql: async (query) =>
      config.kind === 'embedded'
        ? ((await (await embedded!.open()).query(query)).rows as Record<string, unknown>[])
        : execute(config.url, query),
  }
}
