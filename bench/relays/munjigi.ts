import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gatewayArgs } from '../gateway-command.ts'
import { GUARDED_PREFIX, PREFIX } from '../scenarios.ts'
import type { Relay } from './relay.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** The client that has tokens minted for the bench. */
export const client = { id: 'bench', secret: randomBytes(32).toString('base64url') }

const yaml = `services:
  bench:
    path: ${PREFIX}
    strip: ${PREFIX}
    auth: none
  guarded:
    path: ${GUARDED_PREFIX}
    strip: ${GUARDED_PREFIX}
    auth: required
`

/** The gateway as a user runs it in production: through its door, proxy and address book, logging every request. */
export const munjigi: Relay = {
  name: 'munjigi',
  setup: 'the whole gateway, NODE_ENV=production, access log as JSON to a file',
  version: () => {
    if (!existsSync(main)) return undefined
    const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
    return (JSON.parse(manifest) as { version: string }).version
  },
  launch: ({ port, originPort, directory }) => {
    const config = join(directory, 'gateway.yaml')
    writeFileSync(config, yaml)
    const origin = `http://127.0.0.1:${originPort}`
    return {
      command: process.execPath,
      args: gatewayArgs(),
      env: {
        NODE_ENV: 'production',
        ADMIN_PORT: '0',
        HOST: '127.0.0.1',
        PORT: String(port),
        PUBLIC_URL: `http://127.0.0.1:${port}`,
        GATEWAY_CONFIG: config,
        DATA_DIR: join(directory, 'data'),
        ENCRYPTION_KEYS: `bench:${randomBytes(32).toString('base64')}`,
        GATEWAY_CLIENTS: `${client.id}:${client.secret}`,
        TOKEN_RATE_LIMIT: '1000000/1m',
        BENCH_SERVICE_URL: origin,
        GUARDED_SERVICE_URL: origin,
        DRAIN_DELAY: '0s',
        // A machine that others use must not turn requests away.
        OVERLOAD_DELAY: '0s',
      },
    }
  },
}
