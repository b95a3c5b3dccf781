import { existsSync } from 'node:fs'
import { askHealth } from '../../src/commands/ask-health.ts'
import { reachable } from '../../src/commands/reachable.ts'
import { readAuthSettings } from './settings.ts'

// What HEALTHCHECK runs: whether the service of the same environment is alive, by exit code 0 or 1.
if (existsSync('.env')) process.loadEnvFile('.env')

try {
  const { host, port } = readAuthSettings(process.env)
  const url = `http://${reachable(host)}:${port}/health`
  const { status, said = 'no word on it' } = await askHealth(url)
  console.log(`${url}: ${status} ${said}`)
  process.exitCode = status === 200 ? 0 : 1
} catch (error) {
  console.error(`auth  not healthy: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
