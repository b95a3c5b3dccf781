import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { createConnections } from '../../src/door/connections.ts'
import type { Embedded } from '../../src/persistence/embedded.ts'
import { createAccounts } from './accounts.ts'
import { createAuthService } from './app.ts'
import type { Log } from './log.ts'
import { createAuthRegistration } from './registration.ts'
import { type AuthSettings, readAuthSettings } from './settings.ts'

export interface AuthServer {
  /** Where it listens, e.g. `http://localhost:8001`. */
  readonly url: string
  /**
   * Leaves Consul, stops accepting once everybody has heard of it, finishes what is in flight and resolves; whatever
   * is left ten seconds after that is cut.
   */
  stop(): Promise<void>
}

export interface StartOptions {
  readonly env: NodeJS.ProcessEnv
  readonly log: Log
  /** The embedded database, where the gateway runs in the same process and uses it too. */
  readonly embedded?: Embedded
  /** Where the gateway came to listen; GATEWAY_URL as long as it is not known. */
  readonly gatewayUrl?: () => string | undefined
}

const stopTimeoutMs = 10_000

/**
 * So long it is not registered without its database, so that none who log in or sign up are sent here in vain. Then it
 * is all the same: whatever else it does needs none.
 */
const databaseMs = 5000

/** After leaving Consul, until no more connections are taken: gateways ask for changes once a second at most. */
const heardMs = 1000

/** Starts the auth service. Rejects with a one-line error that names the variable to change. */
export async function startAuthService(options: StartOptions): Promise<AuthServer> {
  const { env, log, embedded, gatewayUrl } = options
  const settings = readAuthSettings(env)
  const accounts = createAccounts({ settings, log, embedded, gatewayUrl })
  const answer = createAuthService({ log, accounts }).callback()
  const inFlight = new Set<ServerResponse>()
  let stopping: Promise<void> | undefined
  const server = createServer((request, response) => {
    inFlight.add(response)
    response.once('close', () => inFlight.delete(response))
    if (stopping !== undefined) response.setHeader('Connection', 'close')
    void answer(request, response)
  })
  const connections = createConnections(server)
  await listen(server, settings)
  const registration = await prepareRegistration()
  // Not waited for: Consul may come later than the service.
  void Promise.race([accounts.start(), delay(databaseMs, undefined, { ref: false })]).then(() => {
    if (stopping === undefined) void registration?.start()
  })

  async function prepareRegistration() {
    try {
      return createAuthRegistration({ env, address: server.address() as AddressInfo, log })
    } catch (error) {
      await once(server.close(), 'close')
      throw error
    }
  }

  async function stop(): Promise<void> {
    const registered = registration !== undefined
    // What is being answered now would otherwise promise to keep its connection, and hold the server open.
    for (const response of inFlight) if (!response.headersSent) response.setHeader('Connection', 'close')
    // A request that crossed the end of an idle connection would be lost: gateways close theirs when they hear.
    connections.watch(registered)
    // First, so that nobody is sent here any more; requests are still answered meanwhile.
    await registration?.stop()
    if (registered) await delay(heardMs)
    await connections.close(AbortSignal.timeout(stopTimeoutMs))
    await accounts.stop()
  }

  return {
    url: urlOf(server, settings),
    stop: () => (stopping ??= stop()),
  }
}

async function listen(server: Server, { host, port }: AuthSettings): Promise<void> {
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (error) {
    throw new Error(explain(error as NodeJS.ErrnoException, host, port), { cause: error })
  }
}

function explain({ code, message }: NodeJS.ErrnoException, host: string, port: number): string {
  if (code === 'EADDRINUSE') {
    return `port ${port} is in use: stop what listens there, or set AUTH_PORT to another one`
  }
  if (code === 'EACCES')
    return `port ${port} may not be listened on by this user: set AUTH_PORT to another one`
  if (code === 'ENOTFOUND' || code === 'EADDRNOTAVAIL' || code === 'EAI_AGAIN') {
    return `AUTH_HOST: ${JSON.stringify(host)} is no address of this machine`
  }
  return `cannot listen on AUTH_HOST ${host}, AUTH_PORT ${port}: ${message}`
}

function urlOf(server: Server, { host }: AuthSettings): string {
  const { port } = server.address() as AddressInfo
  const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}
