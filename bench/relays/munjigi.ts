import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PREFIX } from '../scenarios.ts'
import type { Relay } from './relay.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

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
    writeFileSync(config, `services:\n  bench:\n    path: ${PREFIX}\n    strip: ${PREFIX}\n    auth: none\n`)
    return {
      command: process.execPath,
      args: [main],
      env: {
        NODE_ENV: 'production',
        HOST: '127.0.0.1',
        PORT: String(port),
        PUBLIC_URL: `http://127.0.0.1:${port}`,
        GATEWAY_CONFIG: config,
        DATA_DIR: join(directory, 'data'),
        BENCH_SERVICE_URL: `http://127.0.0.1:${originPort}`,
        DRAIN_DELAY: '0s',
      },
    }
  },
}
