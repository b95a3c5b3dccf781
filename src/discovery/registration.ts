import { isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../observability/log.ts'
import { type Backoff, backoffMs } from './backoff.ts'
import {
  type ConsulClient,
  ConsulError,
  createConsulClient,
  type ServiceRegistration,
} from './consul/client.ts'
import { createRateLimit } from './consul/rate-limit.ts'
import type { ConsulOptions } from './consul/settings.ts'

interface RegisteredService {
  readonly name: string
  /** Unique in the agent: two processes of one service need two. */
  readonly id: string
  /** Where the agent and other services reach this process. */
  readonly host: string
  readonly port: number
  readonly tags?: readonly string[]
  readonly meta?: Readonly<Record<string, string>>
  readonly check: {
    /** Asked with GET; 2xx is well, 429 a warning, anything else critical. */
    readonly path: string
    readonly intervalMs?: number
    readonly timeoutMs?: number
    /** How long the check may fail before Consul forgets the service; Consul takes a minute at least. */
    readonly deregisterAfterMs?: number
  }
}

export interface RegistrationOptions {
  readonly consul: ConsulOptions
  readonly service: RegisteredService
  readonly log: Log
  /** Whether the process is ready: only then does it start as passing, and not wait for its first check. */
  readonly ready?: () => boolean
  readonly backoff?: Backoff
}

export interface Registration {
  /**
   * Registers, and goes on seeing to it until `stop` or until the signal aborts. Call it when the process
   * listens. The promise resolves with the first success, or with the end; it never rejects.
   */
  start(signal?: AbortSignal): Promise<void>
  /** Deregisters, within 2 s whatever Consul does. Never rejects. */
  stop(): Promise<void>
}

/** A query may wait this long for the agent to forget us; then it is asked again. */
const waitMs = 55_000
const callTimeoutMs = 5000
const stopTimeoutMs = 2000
const leastDeregisterAfterMs = 60_000
/** A registration that held this long was a good one. */
const steadyMs = 10_000

/**
 * Keeps a service registered in Consul: with an HTTP check, and again whenever the agent has forgotten it (it was
 * restarted, or gave the service up). Consul being away is no fault of the service: it is logged, and tried
 * again with a jittered back-off.
 */
export function createRegistration(options: RegistrationOptions): Registration {
  const { log, ready = () => true, backoff = { firstMs: 250, mostMs: 4000 } } = options
  const { id, name } = options.service
  const fields = { service: name, instance: id }
  const stopping = new AbortController()
  const registered = Promise.withResolvers<void>()
  let everRegistered = false
  let running: Promise<void> | undefined
  let stopped: Promise<void> | undefined

  async function run(signal: AbortSignal): Promise<void> {
    let lastMessage: string | undefined
    for (let failures = 0; !signal.aborted; failures++) {
      const startedAt = performance.now()
      let client: ConsulClient | undefined
      try {
        // A new client each time: the token file may have changed.
        client = createConsulClient(options.consul)
        await keepRegistered(client, signal, () => {
          lastMessage = undefined
          registered.resolve()
        })
      } catch (error) {
        if (signal.aborted) break
        const message = error instanceof Error ? error.message : String(error)
        if (message !== lastMessage) log.warn(fields, `registration: ${name} will be tried again: ${message}`)
        lastMessage = message
      } finally {
        client?.destroy()
      }
      if (performance.now() - startedAt > steadyMs) failures = 0
      await sleep(backoffMs(failures, backoff), undefined, { signal }).catch(() => {})
    }
    registered.resolve()
  }

  /** Ends by rejecting only. */
  async function keepRegistered(
    client: ConsulClient,
    signal: AbortSignal,
    onRegistered: () => void,
  ): Promise<never> {
    const allowed = createRateLimit({ burst: 3, intervalMs: 1000 })
    // At first what the agent has may be of a process before us; later it is ours, and what its check found
    // out is worth keeping where only the connection was lost.
    let known = everRegistered && (await currentHash(client, '', signal)) !== undefined
    for (;;) {
      const startedAt = performance.now()
      if (!known) {
        const registration = toRegistration(options.service, ready())
        await client.register(registration, { signal, timeoutMs: callTimeoutMs })
        everRegistered = true
        log.info(fields, `registration: ${name} is registered in Consul as ${id}`)
      }
      onRegistered()
      for (let hash: string | undefined = ''; hash !== undefined; ) {
        await allowed(signal)
        hash = await currentHash(client, hash, signal)
      }
      if (performance.now() - startedAt < steadyMs) throw new Error('the agent forgot it soon after')
      log.warn(fields, `registration: the agent has forgotten ${id}`)
      known = false
    }
  }

  /**
   * What the agent knows of us as a hash, undefined where it knows nothing. With the hash of before, the answer
   * waits for a change (HashiCorp: "Hash-based Blocking Queries").
   */
  async function currentHash(
    client: ConsulClient,
    hash: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const timeoutMs = hash === '' ? callTimeoutMs : waitMs + waitMs / 16 + callTimeoutMs
    try {
      const { headers } = await client.own(id, { hash, waitMs, signal, timeoutMs })
      const next = headers['x-consul-contenthash']
      if (typeof next !== 'string' || next === '')
        throw new Error('an agent older than Consul 1.3 cannot be followed')
      return next
    } catch (error) {
      if (error instanceof ConsulError && error.status === 404) return undefined
      throw error
    }
  }

  async function deregister(): Promise<void> {
    stopping.abort()
    if (running === undefined) return
    await running
    let client: ConsulClient | undefined
    try {
      client = createConsulClient(options.consul)
      await client.deregister(id, { signal: new AbortController().signal, timeoutMs: stopTimeoutMs })
      log.info(fields, `registration: ${id} is deregistered`)
    } catch (error) {
      if (error instanceof ConsulError && error.status === 404) return
      const message = error instanceof Error ? error.message : String(error)
      log.warn(fields, `registration: ${id} could not be deregistered: ${message}`)
    } finally {
      client?.destroy()
    }
  }

  return {
    start(signal) {
      const signals = signal === undefined ? [stopping.signal] : [stopping.signal, signal]
      running ??= run(AbortSignal.any(signals))
      return registered.promise
    },
    stop() {
      stopped ??= deregister()
      return stopped
    },
  }
}

function toRegistration(service: RegisteredService, isReady: boolean): ServiceRegistration {
  const { id, name, host, port, tags = [], meta = {}, check } = service
  const { path, intervalMs = 5000, timeoutMs = 2000, deregisterAfterMs = leastDeregisterAfterMs } = check
  return {
    id,
    name,
    address: host,
    port,
    tags: [...tags],
    meta: { ...meta },
    check: {
      http: `http://${isIPv6(host) ? `[${host}]` : host}:${port}${path}`,
      intervalMs,
      timeoutMs,
      // Consul refuses less, and what is never given up stays in the catalog for ever.
      deregisterAfterMs: Math.max(deregisterAfterMs, leastDeregisterAfterMs),
      status: isReady ? 'passing' : 'critical',
    },
  }
}
