import { ADDRCONFIG, promises as dns } from 'node:dns'

/** The addresses of one host, and how long they may be believed. */
export interface HostAnswer {
  readonly ipv4: readonly string[]
  readonly ipv6: readonly string[]
  /** Infinity where the answer came without one. */
  readonly ttlMs: number
  /** Why a part of the answer is the one before: one family failed while the other did not. */
  readonly fault?: Error
}

export interface SrvRecord {
  readonly host: string
  readonly port: string
  /** Beside the others; 1 for all where all have the same. */
  readonly weight: number
}

export interface Resolver {
  /** Rejects where there is no address; `previous` fills in for a family that failed while the other did not. */
  addresses(host: string, previous: HostAnswer | undefined): Promise<HostAnswer>
  /** The records of the lowest priority (RFC 2782). Rejects where there is none. */
  services(name: string): Promise<readonly SrvRecord[]>
  /** Ends every question, each with a rejection. */
  cancel(): void
}

/** RFC 2782: a weight of 0 beside others has "a very small chance of being selected". */
const leastWeight = 0.1

export interface ResolverOptions {
  /** Addresses of DNS servers; the system's resolver where empty. */
  readonly servers: readonly string[]
  /** How long the first of two tries waits for a server; the second waits twice as long. */
  readonly tryMs: number
}

/**
 * Plain names go to the system's resolver (getaddrinfo), which knows the hosts file, search domains and a
 * container network's own names, and has its own timeouts. It cannot be asked for SRV nor be given a server:
 * those go to c-ares.
 */
export function createResolver({ servers, tryMs }: ResolverOptions): Resolver {
  const cancelled = new AbortController()
  const cares = new dns.Resolver({ timeout: tryMs, tries: 2 })
  if (servers.length > 0) cares.setServers(servers)

  async function byServer(host: string, previous: HostAnswer | undefined): Promise<HostAnswer> {
    const [a, aaaa] = await Promise.allSettled([
      cares.resolve4(host, { ttl: true }),
      cares.resolve6(host, { ttl: true }),
    ])
    const fault = faultOf(a) ?? faultOf(aaaa)
    const answered = [a, aaaa].flatMap((result) => (result.status === 'fulfilled' ? result.value : []))
    if (answered.length === 0) throw fault ?? (a.status === 'rejected' ? a.reason : nothingFor(host))
    return {
      ipv4: faultOf(a) === undefined ? addressesOf(a) : (previous?.ipv4 ?? []),
      ipv6: faultOf(aaaa) === undefined ? addressesOf(aaaa) : (previous?.ipv6 ?? []),
      ttlMs: Math.min(...answered.map((record) => record.ttl)) * 1000,
      ...(fault && { fault }),
    }
  }

  async function services(name: string): Promise<readonly SrvRecord[]> {
    const records = await cares.resolveSrv(name)
    const lowest = Math.min(...records.map((record) => record.priority))
    const usable = records.filter((record) => record.priority === lowest && record.name !== '')
    // RFC 2782: a target of "." says that the service is decidedly not there.
    if (usable.length === 0) throw nothingFor(name)
    const even = usable.every((record) => record.weight === usable[0]!.weight)
    return usable.map(({ name: host, port, weight }) => ({
      ...{ host, port: String(port) },
      weight: even ? 1 : weight || leastWeight,
    }))
  }

  return {
    addresses: (host, previous) =>
      // RFC 6761 §6.3: localhost is never asked of a server.
      servers.length === 0 || /(?:^|\.)localhost\.?$/.test(host)
        ? unlessAborted(systemLookup(host), cancelled.signal)
        : byServer(host, previous),
    services,
    cancel() {
      cancelled.abort()
      cares.cancel()
    },
  }
}

async function systemLookup(host: string): Promise<HostAnswer> {
  // ADDRCONFIG leaves out a family that this machine has no address of: nothing there could be reached.
  const found = await dns.lookup(host, { all: true, hints: ADDRCONFIG })
  const family = (wanted: number) =>
    // A link-local address needs its zone, which a URL cannot hold.
    found
      .filter(({ family, address }) => family === wanted && !address.includes('%'))
      .map((one) => one.address)
  const [ipv4, ipv6] = [family(4), family(6)]
  if (ipv4.length + ipv6.length === 0) throw nothingFor(host)
  return { ipv4, ipv6, ttlMs: Number.POSITIVE_INFINITY }
}

function addressesOf(result: PromiseSettledResult<{ address: string }[]>): string[] {
  return result.status === 'fulfilled' ? result.value.map((record) => record.address) : []
}

/** What failed, unless it is only that there is no such record. */
function faultOf(result: PromiseSettledResult<unknown>): Error | undefined {
  if (result.status === 'fulfilled') return undefined
  return ['ENODATA', 'ENOTFOUND'].includes(result.reason.code) ? undefined : result.reason
}

function nothingFor(host: string): Error {
  return Object.assign(new Error(`no usable record for ${host}`), { code: 'ENODATA' })
}

/** getaddrinfo cannot be cancelled: when the signal aborts, what it gives later is dropped. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort)
    work.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject)
  })
}
