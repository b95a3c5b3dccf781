import { createLog } from '../services/auth/log.ts'
import { startAuthService } from '../services/auth/server.ts'
import { keepCompiledCode } from '../src/collector.ts'
import type { Config } from '../src/config/config.ts'
import { readEnvironment } from '../src/config/environment.ts'
import { loadConfig } from '../src/config/load.ts'
import { discoverySources } from '../src/discovery/sources/index.ts'
import { run } from '../src/lifecycle.ts'
import { openEmbedded } from '../src/persistence/embedded.ts'
import { type StartedGateway, startGateway } from '../src/start.ts'
import type { DemoProvider } from './demo-provider.ts'
import { readDemoPort, withDemoProvider } from './demo-settings.ts'

keepCompiledCode()

// The newcomer's command: the example house, a provider to log in with, and the gateway in one process. They still
// meet over HTTP; they share the terminal and, where it is the embedded one, the database, which is 500 MB each time.
await run({
  start: async () => {
    // As the gateway reads it: were it another, this might be development and the gateway in production.
    const { environment } = readEnvironment(process.env, process.cwd())
    const demoPort = readDemoPort(environment)
    // The provider's address is known when it listens; here it is only to be among the providers there are.
    const known = demoPort === undefined ? environment : withDemoProvider(environment, 'http://localhost')
    const config = loadConfig({ env: known, cwd: process.cwd(), sources: discoverySources })
    const { database } = config
    const embedded = database.kind === 'embedded' ? openEmbedded(database.dataDir) : undefined
    const share = embedded === undefined ? {} : { embedded }
    const log = createLog(process.stdout)
    let gateway: StartedGateway | undefined
    const gatewayUrl = () => (environment.GATEWAY_URL ? undefined : gateway?.url)
    const demoStarting = demoPort === undefined ? undefined : startDemo(demoPort, config)
    const house = await startAuthService({ env: environment, log, gatewayUrl, ...share })
    log.line(`listening on ${house.url}`)
    const demo = await demoStarting

    async function stop(): Promise<void> {
      await gateway?.stop()
      await Promise.all([house.stop(), demo?.stop()])
      await embedded?.close()
    }
    try {
      // Wherever the house came to listen: static discovery is told, every other source finds it by itself.
      const env = { ...environment, AUTH_SERVICE_URL: environment.AUTH_SERVICE_URL ?? house.url }
      gateway = await startGateway(
        demo === undefined ? env : withDemoProvider(env, demo.issuer),
        process.cwd(),
        share,
      )
      return stop
    } catch (error) {
      await stop()
      throw error
    }
  },
  complain: (message) => console.error(`cannot start: ${message}`),
})

/** Loaded where it is wanted only: it is a development dependency. The gateway can do without it, and then does. */
async function startDemo(port: number, config: Config): Promise<DemoProvider | undefined> {
  const base = `${config.publicUrl}${config.routePrefix}`
  try {
    const { startDemoProvider } = await import('./demo-provider.ts')
    const demo = await startDemoProvider({
      port,
      host: 'localhost',
      redirectUris: [`${base}/oauth/demo/callback`],
      loginUrl: `${base}/login`,
    })
    console.log(`demo provider on ${demo.issuer}`)
    return demo
  } catch (error) {
    console.log(`no demo provider: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}
