import { existsSync } from 'node:fs'
import { createLog } from './log.ts'
import { startAuthService } from './server.ts'

const log = createLog(process.stdout)
// What is set already wins over the file.
if (existsSync('.env')) process.loadEnvFile('.env')

try {
  const { url, stop } = await startAuthService({ env: process.env, log })
  // Ctrl-C reaches a process twice where npm passes it on as well: the second one changes nothing.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop())
  log.line(`listening on ${url}`)
} catch (error) {
  log.line(`cannot start: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
