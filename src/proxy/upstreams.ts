import { buildConnector, Pool } from 'undici'
import type { Instance } from '../discovery/source.ts'
import type { Candidate } from './balance/policy.ts'
import { Connections } from './connections.ts'

/** One instance as the proxy uses it: its connections and how it has been doing. */
export interface Upstream extends Candidate {
  readonly instance: Instance
  readonly origin: string
  /** `127.0.0.1:8001`, for the log. */
  readonly address: string
  /** Host header and TLS name where they are not the origin's own. */
  readonly hostHeader: string | undefined
  readonly pool: Connections
  inFlight: number
  /** By the source's word: 1 where it has none. */
  assignedWeight: number
  /** What it is due beside the others now; usable.ts sets it. */
  weight: number
  /** Not in its service's group yet. */
  isNew: boolean
  /** When its slow start begins or began, where its service has one (milliseconds, monotonic). */
  warmingSince: number
  /** Failures since the last reply of any status; see outlier.ts. */
  consecutiveFailures: number
  /** How often it has been ejected, less what is forgiven, and until when (milliseconds, monotonic). */
  ejections: number
  ejectedUntil: number
}

export interface Upstreams {
  /**
   * The upstream of a service's instance: the same one for as long as somebody names it. Two services at one address
   * have one each: their settings differ, and what one is given says nothing of the other.
   */
  of(service: string, instance: Instance): Upstream
  /**
   * Lets go of all upstreams but these, given by service. What is in flight on the others finishes first. A service
   * whose list is the very one of the last time is not gone through.
   */
  retain(services: ReadonlyMap<string, { readonly all: readonly Upstream[] }>): void
  /** Closes every connection, at once. */
  destroy(): Promise<void>
}

export interface UpstreamsOptions {
  readonly connectTimeoutMs: number
  /** Longest silence in mid-body. */
  readonly idleTimeoutMs: number
}

/**
 * Connections to houses: one undici pool for each instance, keep-alive, one request at a time on a connection
 * (pipelining would let a slow reply hold up a stranger's). HTTP/1.1 only: the pass relays 1.1 messages.
 */
export function createUpstreams({ connectTimeoutMs, idleTimeoutMs }: UpstreamsOptions): Upstreams {
  const services = new Map<string, Owned>()
  const retiring = new Set<Connections>()

  const createConnector = ({ serverName }: Instance) => connectorOf(connectTimeoutMs, serverName)

  const createPool = ({ origin }: Instance, connect: buildConnector.connector) =>
    new Pool(origin, {
      // The deadline of the reply's head is the exchange's own timer, exact and for each route.
      headersTimeout: 0,
      bodyTimeout: idleTimeoutMs,
      pipelining: 1,
      allowH2: false,
      // Below the 5 s after which Node houses close an idle connection, so that they rarely close it first.
      keepAliveTimeout: 4000,
      keepAliveTimeoutThreshold: 1000,
      connect,
    })

  function create(instance: Instance): Upstream {
    const { origin, serverName } = instance
    const url = new URL(origin)
    return {
      instance,
      origin,
      address: url.host,
      hostHeader: serverName === undefined ? undefined : withPort(serverName, url.port),
      pool: new Connections(instance, createConnector, createPool),
      inFlight: 0,
      assignedWeight: 1,
      weight: 1,
      isNew: true,
      warmingSince: -Infinity,
      consecutiveFailures: 0,
      ejections: 0,
      ejectedUntil: -Infinity,
    }
  }

  function letGo({ pool }: Upstream): void {
    retiring.add(pool)
    // close() waits for what is in flight; destroy() below ends that wait, hence the ignored rejection.
    pool.close().then(
      () => retiring.delete(pool),
      () => retiring.delete(pool),
    )
  }

  return {
    of(service, instance) {
      const owned = services.get(service) ?? { byKey: new Map<string, Upstream>(), all: [] }
      services.set(service, owned)
      const key = keyOf(instance)
      let upstream = owned.byKey.get(key)
      if (upstream === undefined) {
        upstream = create(instance)
        owned.byKey.set(key, upstream)
      }
      upstream.assignedWeight = instance.weight ?? 1
      return upstream
    },
    retain(wanted) {
      for (const [service, owned] of services) {
        const { all = [] } = wanted.get(service) ?? {}
        if (owned.all === all) continue
        owned.all = all
        const kept = new Set(all)
        for (const [key, upstream] of owned.byKey) {
          if (kept.has(upstream)) continue
          owned.byKey.delete(key)
          letGo(upstream)
        }
        if (owned.byKey.size === 0) services.delete(service)
      }
    },
    async destroy() {
      const owned = [...services.values()].flatMap(({ byKey }) => [...byKey.values()])
      const pools = [...retiring, ...owned.map((upstream) => upstream.pool)]
      services.clear()
      await Promise.all(pools.map((pool) => pool.destroy()))
    },
  }
}

/** What a service has, and the list that it was last trimmed to. */
interface Owned {
  readonly byKey: Map<string, Upstream>
  all: readonly Upstream[]
}

const keyOf = ({ origin, serverName }: Instance) =>
  serverName === undefined ? origin : `${origin} ${serverName}`
const withPort = (name: string, port: string) => (port === '' ? name : `${name}:${port}`)

/**
 * Connects as undici does, and names the errors of a connection that stood. undici takes ECONNRESET after a reply
 * without a length for the reply's end, so that one that was cut off would pass for whole (RFC 9112 §8); and it
 * fails a request that waits for a connection when an idle one is reset, though nothing was sent. Under its own
 * code for broken connections both are handled as they should be.
 */
function connectorOf(timeoutMs: number, serverName: string | undefined): buildConnector.connector {
  const connect = buildConnector({
    timeout: timeoutMs,
    allowH2: false,
    ...(serverName === undefined ? {} : { servername: serverName }),
  })
  return (options, callback) =>
    connect(options, (...result) => {
      result[1]?.on('error', nameSocketError)
      callback(...result)
    })
}

function nameSocketError(error: NodeJS.ErrnoException): void {
  // Those of the operating system have a syscall; undici's own are left alone.
  if (error.syscall !== undefined) error.code = 'UND_ERR_SOCKET'
}
