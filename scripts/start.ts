import { existsSync } from 'node:fs'
import { createLog } from '../services/auth/log.ts'
import { startAuthService } from '../services/auth/server.ts'
import { loadConfig } from '../src/config/load.ts'
import { discoverySources } from '../src/discovery/sources/index.ts'
import { run } from '../src/lifecycle.ts'
import { openEmbedded } from '../src/persistence/embedded.ts'
import { type StartedGateway, startGateway } from '../src/start.ts'

// The newcomer's command: the example house and the gateway in one process. They still meet over HTTP, by
// discovery; they share the terminal and, where it is the embedded one, the database, which is 500 MB each time.
await run({
  start: async () => {
    // The house reads the environment only; the gateway looks for the file by itself, and finds the same.
    if (existsSync('.env')) process.loadEnvFile('.env')
    const { database } = loadConfig({ env: process.env, cwd: process.cwd(), sources: discoverySources })
    const embedded = database.kind === 'embedded' ? openEmbedded(database.dataDir) : undefined
    const share = embedded === undefined ? {} : { embedded }
    const log = createLog(process.stdout)
    let gateway: StartedGateway | undefined
    const gatewayUrl = () => (process.env.GATEWAY_URL ? undefined : gateway?.url)
    const house = await startAuthService({ env: process.env, log, gatewayUrl, ...share })
    log.line(`listening on ${house.url}`)

    async function stop(): Promise<void> {
      await gateway?.stop()
      await house.stop()
      await embedded?.close()
    }
    try {
      // Wherever the house came to listen: static discovery is told, every other source finds it by itself.
      const env = { ...process.env, AUTH_SERVICE_URL: process.env.AUTH_SERVICE_URL || house.url }
      gateway = await startGateway(env, process.cwd(), share)
      return stop
    } catch (error) {
      await stop()
      throw error
    }
  },
  complain: (message) => console.error(`cannot start: ${message}`),
})
