import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { loadConfig } from '../../src/config/load.ts'
import { discoverySources } from '../../src/discovery/sources/index.ts'
import { createGateway, type Gateway } from '../../src/gateway.ts'
import type { AccessEntry, GatewayLog, LogFields } from '../../src/observability/log.ts'
import type { Embedded } from '../../src/persistence/embedded.ts'
import { readEncryptionKeys } from '../../src/persistence/encryption-keys.ts'
import type { JoinPeers } from '../../src/workers/peers.ts'
import { patientSettings } from './patient-settings.ts'
import type { PublishedServices } from './published-services.ts'
import { until } from './until.ts'

export interface TestGateway {
  readonly url: string
  readonly port: number
  /** Of the admin endpoints, where they have a port of their own. */
  readonly adminUrl: string | undefined
  readonly gateway: Gateway
  /** Every access-log line so far. */
  readonly access: readonly AccessEntry[]
  /** Every other line so far. */
  readonly lines: readonly { readonly level: string; readonly fields: LogFields; readonly message: string }[]
}

export interface TestGatewayOptions {
  /** gateway.yaml; JSON is YAML, so an object will do. */
  readonly file?: string | Readonly<Record<string, unknown>>
  /** Environment variables; nothing of the machine's own environment is seen. */
  readonly env?: Readonly<Record<string, string>>
  /** Stands in for the configured discovery sources. */
  readonly services?: Pick<PublishedServices, 'configured'>
  /** An embedded database that is open already. */
  readonly embedded?: Embedded
  /** Stands in for the recording one, of which `access` and `lines` then show nothing. */
  readonly log?: GatewayLog
  /** Stand in for the other processes of the gateway. */
  readonly peers?: JoinPeers
}

/** The real gateway on a free port, configured as a user would, stopped when the test ends. */
export async function startGateway(
  t: ExecutionContext,
  options: TestGatewayOptions = {},
): Promise<TestGateway> {
  const cwd = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(cwd, { recursive: true, force: true }))
  const { file = {}, env = {} } = options
  await writeFile(join(cwd, 'gateway.yaml'), typeof file === 'string' ? file : JSON.stringify(file))
  const loaded = loadConfig({
    env: {
      NODE_ENV: 'test',
      DATABASE_URL: 'none',
      HOST: '127.0.0.1',
      PORT: '0',
      DRAIN_DELAY: '0s',
      DRAIN_TIMEOUT: '2s',
      ...patientSettings,
      // Those of several tests run side by side.
      ...(env.NODE_ENV === 'production' && { ADMIN_PORT: '0' }),
      ...env,
    },
    cwd,
    sources: discoverySources,
  })
  const sources = options.services === undefined ? loaded.discovery.sources : [options.services.configured]
  const config = { ...loaded, discovery: { ...loaded.discovery, sources } }
  const log = createRecordingLog()
  const { database } = config
  const encryptionKeys = database.kind === 'none' ? [] : await readEncryptionKeys(database.encryptionKeys)
  const gateway = createGateway(config, {
    log: options.log ?? log,
    encryptionKeys,
    embedded: options.embedded,
    ...(options.peers && { peers: options.peers }),
  })
  const { port, adminUrl } = await gateway.start()
  t.teardown(() => gateway.stop())
  await until(() => gateway.ready(), 'the gateway is ready')
  const url = `http://127.0.0.1:${port}`
  return { url, port, adminUrl, gateway, access: log.access_, lines: log.lines }
}

/**
 * A gateway with one service, `house`, at these origins under `/api/house`, open to everybody. The house is not
 * asked for its API description: it sees the test's requests and no others.
 */
export function startGatewayFor(
  t: ExecutionContext,
  origins: string | readonly string[],
  description: Readonly<Record<string, unknown>> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<TestGateway> {
  const urls = typeof origins === 'string' ? [origins] : origins
  return startGateway(t, {
    file: { services: { house: { urls, auth: 'none', openapi: false, ...description } } },
    env,
  })
}

function createRecordingLog(): GatewayLog & {
  access_: AccessEntry[]
  lines: TestGateway['lines'][number][]
} {
  const access: AccessEntry[] = []
  const lines: TestGateway['lines'][number][] = []
  const keep = (level: string) => (fields: LogFields, message: string) =>
    void lines.push({ level, fields, message })
  return {
    debug: keep('debug'),
    info: keep('info'),
    warn: keep('warn'),
    error: keep('error'),
    access: (entry) => void access.push(entry),
    level: () => 'debug',
    setLevel() {},
    droppedBytes: () => 0,
    flush: () => {},
    access_: access,
    lines,
  }
}
