import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import Consul from 'consul'
import { getAgentService, repairTransport } from './papi.ts'
import type { ConsulOptions } from './settings.ts'

/** What came back, with what Consul says of it in headers. */
export interface ConsulReply {
  readonly body: unknown
  readonly headers: http.IncomingHttpHeaders
}

/** What every call takes. */
interface CallOptions {
  /** Ends the call at once, and its connection with it. */
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

export interface BlockingOptions extends CallOptions {
  /** `X-Consul-Index` of the last answer; `0` asks for an answer now. */
  readonly index: string
  readonly waitMs: number
}

export interface ServiceRegistration {
  readonly id: string
  readonly name: string
  readonly address: string
  readonly port: number
  readonly tags: string[]
  readonly meta: Record<string, string>
  readonly check: {
    readonly http: string
    readonly intervalMs: number
    readonly timeoutMs: number
    readonly deregisterAfterMs: number
    readonly status: 'passing' | 'critical'
  }
}

/** The calls the gateway makes. Each rejects with a ConsulError that names the call and what came instead. */
export interface ConsulClient {
  /** Every service's name and the tags of all its instances. */
  services(options: BlockingOptions): Promise<ConsulReply>
  /** The instances of one service with their checks, passing or not. */
  health(service: string, options: BlockingOptions): Promise<ConsulReply>
  register(service: ServiceRegistration, options: CallOptions): Promise<void>
  deregister(id: string, options: CallOptions): Promise<void>
  /** What the agent knows of one of its own services; answers when that differs from `hash` or `waitMs` is over. */
  own(id: string, options: CallOptions & { hash: string; waitMs: number }): Promise<ConsulReply>
  /** Closes every connection. */
  destroy(): void
}

/** What the package passes on to its HTTP layer; `token` is there to make the types meet. */
interface Common {
  readonly ctx: EventEmitter
  readonly timeout: number
  readonly token?: string
}

/** A call to Consul that came to nothing. The message never holds the token. */
export class ConsulError extends Error {
  override name = 'ConsulError'
  /** The status of Consul's reply; undefined where none came. */
  readonly status: number | undefined

  constructor(message: string, status?: number) {
    super(message)
    this.status = status
  }
}

/**
 * Makes a client of the `consul` package with its own connections. Token and TLS files are read here.
 *
 * @param maxSockets how many connections it has at most; calls beyond wait for one.
 * @throws Error where one of these files cannot be read.
 */
export function createConsulClient(options: ConsulOptions, maxSockets = Infinity): ConsulClient {
  const { url, datacenter } = options
  const token =
    options.tokenFile === undefined ? options.token : readFileSync(options.tokenFile, 'utf8').trim()
  const agent = createAgent(options, maxSockets)
  const consul = new Consul({
    // Not in the package's types, but in its documentation: host and port cannot say a path.
    ...{ baseUrl: `${url}/v1` },
    agent,
    defaults: { ...(token && { token }), ...(datacenter !== undefined && { dc: datacenter }) },
  })
  repairTransport(consul)

  async function call(
    what: string,
    { signal, timeoutMs }: CallOptions,
    send: (common: Common) => Promise<unknown>,
  ): Promise<ConsulReply> {
    signal.throwIfAborted()
    // The package cancels a request when this emitter says so; with includeResponse it gives the headers too.
    const ctx = Object.assign(new EventEmitter(), { includeResponse: true })
    const cancel = () => ctx.emit('cancel')
    signal.addEventListener('abort', cancel, { once: true })
    try {
      const [response, body] = (await send({ ctx, timeout: timeoutMs })) as [http.IncomingMessage, unknown]
      return { body, headers: response.headers }
    } catch (error) {
      signal.throwIfAborted()
      throw describe(what, error, token)
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  }

  const blocking = ({ index, waitMs }: BlockingOptions) => ({ index, wait: `${waitMs}ms` })

  return {
    services: (query) =>
      call('GET /v1/catalog/services', query, (common) =>
        consul.catalog.service.list({ ...common, ...blocking(query) }),
      ),
    health: (service, query) =>
      call(`GET /v1/health/service/${service}`, query, (common) =>
        consul.health.service({ ...common, ...blocking(query), service }),
      ),
    async register(service, options) {
      await call('PUT /v1/agent/service/register', options, (common) =>
        consul.agent.service.register({ ...common, ...toRegisterOptions(service) }),
      )
    },
    async deregister(id, options) {
      await call(`PUT /v1/agent/service/deregister/${id}`, options, (common) =>
        consul.agent.service.deregister({ ...common, id }),
      )
    },
    own: (id, query) =>
      call(`GET /v1/agent/service/${id}`, query, (common) =>
        getAgentService(consul, id, query, token, common),
      ),
    destroy: () => agent.destroy(),
  }
}

function createAgent({ url, tls }: ConsulOptions, maxSockets: number): http.Agent {
  const common = { keepAlive: true, maxSockets }
  if (!url.startsWith('https:')) return new http.Agent(common)
  const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file))
  const [ca, cert, key] = [read(tls.caFile), read(tls.certFile), read(tls.keyFile)]
  return new https.Agent({
    ...common,
    rejectUnauthorized: tls.verify,
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(tls.serverName !== undefined && { servername: tls.serverName }),
  })
}

function toRegisterOptions({ check, ...service }: ServiceRegistration) {
  return {
    ...service,
    check: {
      name: `${service.name} answers`,
      http: check.http,
      interval: `${check.intervalMs}ms`,
      timeout: `${check.timeoutMs}ms`,
      deregistercriticalserviceafter: `${check.deregisterAfterMs}ms`,
      status: check.status,
    },
  }
}

function describe(what: string, error: unknown, token: string | undefined): ConsulError {
  const { response, code } = error as { response?: http.IncomingMessage; code?: string }
  // A 2xx reply can still be an error: one that could not be read.
  const status = (response?.statusCode ?? 0) >= 300 ? response?.statusCode : undefined
  const message =
    error instanceof Error ? error.message.replace(/^(?:consul: )?(?:agent\.service: )?/, '') : String(error)
  const parts =
    status === undefined && code !== undefined && !message.includes(code)
      ? [message, code]
      : [status, message]
  const came = parts.filter(Boolean).join(' ').trim()
  return new ConsulError(`Consul: ${what}: ${token ? came.replaceAll(token, '[token]') : came}`, status)
}
