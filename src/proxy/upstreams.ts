import { buildConnector, Pool } from 'undici'
import type { Instance } from '../discovery/source.ts'
import type { Candidate } from './balance/policy.ts'

/** One instance as the proxy uses it: its connections and how it has been doing. */
export interface Upstream extends Candidate {
  readonly instance: Instance
  readonly origin: string
  /** `127.0.0.1:8001`, for the log. */
  readonly address: string
  /** Host header and TLS name where they are not the origin's own. */
  readonly hostHeader: string | undefined
  readonly pool: Pool
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
  /** Lets go of all upstreams but these. What is in flight on the others finishes first. */
  retain(upstreams: ReadonlySet<Upstream>): void
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
  const byKey = new Map<string, Upstream>()
  const retiring = new Set<Pool>()

  function create(instance: Instance): Upstream {
    const { origin, serverName } = instance
    const url = new URL(origin)
    const pool = new Pool(origin, {
      // The deadline of the reply's head is the exchange's own timer, exact and for each route.
      headersTimeout: 0,
      bodyTimeout: idleTimeoutMs,
      pipelining: 1,
      allowH2: false,
      // Below the 5 s after which Node houses close an idle connection, so that they rarely close it first.
      keepAliveTimeout: 4000,
      keepAliveTimeoutThreshold: 1000,
      connect: createConnector(connectTimeoutMs, serverName),
    })
    return {
      instance,
      origin,
      address: url.host,
      hostHeader: serverName === undefined ? undefined : withPort(serverName, url.port),
      pool,
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

  return {
    of(service, instance) {
      const key = `${service} ${instance.origin} ${instance.serverName ?? ''}`
      let upstream = byKey.get(key)
      if (upstream === undefined) {
        upstream = create(instance)
        byKey.set(key, upstream)
      }
      upstream.assignedWeight = instance.weight ?? 1
      return upstream
    },
    retain(upstreams) {
      for (const [key, upstream] of byKey) {
        if (upstreams.has(upstream)) continue
        byKey.delete(key)
        retiring.add(upstream.pool)
        // close() waits for what is in flight; destroy() below ends that wait, hence the ignored rejection.
        upstream.pool.close().then(
          () => retiring.delete(upstream.pool),
          () => retiring.delete(upstream.pool),
        )
      }
    },
    async destroy() {
      const pools = [...retiring, ...[...byKey.values()].map((upstream) => upstream.pool)]
      byKey.clear()
      await Promise.all(pools.map((pool) => pool.destroy()))
    },
  }
}

const withPort = (name: string, port: string) => (port === '' ? name : `${name}:${port}`)

/**
 * Connects as undici does, and names the errors of a connection that stood. undici takes ECONNRESET after a reply
 * without a length for the reply's end, so that one that was cut off would pass for whole (RFC 9112 §8); and it
 * fails a request that waits for a connection when an idle one is reset, though nothing was sent. Under its own
 * code for broken connections both are handled as they should be.
 */
function createConnector(timeoutMs: number, serverName: string | undefined): buildConnector.connector {
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
