import { existsSync } from 'node:fs'
import { createLog } from '../services/auth/log.ts'
import { startAuthService } from '../services/auth/server.ts'
import { run } from '../src/lifecycle.ts'
import { startGateway } from '../src/start.ts'

// The newcomer's command: the example house and the gateway in one process. They still meet over HTTP, by
// discovery; nothing is shared between them but the terminal.
await run({
  start: async () => {
    // The house reads the environment only; the gateway looks for the file by itself, and finds the same.
    if (existsSync('.env')) process.loadEnvFile('.env')
    const log = createLog(process.stdout)
    const house = await startAuthService({ env: process.env, log })
    log.line(`listening on ${house.url}`)
    try {
      // Wherever the house came to listen: static discovery is told, every other source finds it by itself.
      const env = { ...process.env, AUTH_SERVICE_URL: process.env.AUTH_SERVICE_URL || house.url }
      const gateway = await startGateway(env, process.cwd())
      return async () => {
        await gateway.stop()
        await house.stop()
      }
    } catch (error) {
      await house.stop()
      throw error
    }
  },
  complain: (message) => console.error(`cannot start: ${message}`),
})
