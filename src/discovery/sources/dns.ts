import { promises as dns } from 'node:dns'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { duration } from '../description.ts'
import { type Answer, resolveName } from '../dns/resolve.ts'
import { createResolver } from '../dns/resolver.ts'
import { type Name, parseTarget, type Target } from '../dns/target.ts'
import type { DiscoverySource, Instance, Service, SourceInput } from '../source.ts'

/** The source's own settings, for the documentation. */
export const dnsVariables = {
  DNS_REFRESH: {
    description: 'how often names are resolved again, from 1s to 1h; sooner where a record lives shorter',
    default: '5s',
  },
  DNS_SERVER: {
    description:
      "DNS servers by address, with commas: 127.0.0.1:8600,[::1]:53. Unset: the system's resolver, with its hosts file",
  },
} satisfies Record<string, { description: string; secret?: boolean; default?: string }>

export interface DnsOptions {
  readonly refreshMs: number
  /** Addresses, with ports where they are not 53; empty for the system's resolver. */
  readonly servers: readonly string[]
  readonly urls: SourceInput['urls']
}

export interface DnsTiming {
  /** No name is asked for more often, whatever its time to live; also the first back-off. */
  readonly floorMs: number
  /** The longest back-off, unless the refresh is longer. */
  readonly ceilingMs: number
  /** How long the first of two tries waits for a DNS server. */
  readonly tryMs: number
}

/** A name and what is known of it. */
interface Entry {
  readonly name: Name
  answer: Answer | undefined
  /** Questions without an answer, in a row. */
  failures: number
  /** Whether the last thing logged of it was a fault. */
  faulty: boolean
}

/**
 * Services at every address of the names in their URLs: `http://auth:8000`, `srv+http://_http._tcp.auth`.
 * A name that fails, or is gone, keeps the addresses it had: an orchestrator takes the name away with the last
 * instance, and the address book is who decides how long those are held.
 */
export function createDnsSource(timing: Partial<DnsTiming> = {}) {
  const { floorMs = 1000, ceilingMs = 30_000, tryMs = 1500 } = timing

  return {
    name: 'dns',
    settings,
    async watch({ refreshMs, servers, urls }, publish, { log, signal }) {
      const targets = new Map([...urls.values()].flat().map((url) => [url, parseTarget(url)]))
      const entries = new Map<Target, Entry>()
      for (const target of targets.values()) {
        if (target.kind === 'address') continue
        entries.set(target, { name: target, answer: undefined, failures: 0, faulty: false })
      }
      const resolver = createResolver({ servers, tryMs })
      const cancel = () => resolver.cancel()
      signal.addEventListener('abort', cancel)

      const instancesOf = (target: Target): readonly Instance[] =>
        target.kind === 'address' ? [target.instance] : (entries.get(target)?.answer?.instances ?? [])

      const snapshot = (): Service[] =>
        [...urls].map(([name, list]) => ({
          name,
          instances: distinct(list.flatMap((url) => instancesOf(targets.get(url)!))),
          description: {},
        }))

      async function refresh(entry: Entry): Promise<Error | undefined> {
        try {
          entry.answer = await resolveName(resolver, entry.name, entry.answer)
          entry.failures = 0
          return entry.answer.fault
        } catch (error) {
          entry.failures += 1
          return error as Error
        }
      }

      function report(entry: Entry, error: Error | undefined): void {
        const { host } = entry.name
        if (error !== undefined && !entry.faulty) {
          const kept =
            entry.answer === undefined ? 'it has no address yet' : 'its last known addresses are kept'
          log.warn({ host, code: codeOf(error) }, `discovery: dns fails for ${host}: ${kept}`)
        }
        if (error === undefined && entry.faulty)
          log.info({ host }, `discovery: dns answers for ${host} again`)
        entry.faulty = error !== undefined
      }

      function pauseAfter({ failures, answer }: Entry): number {
        if (failures > 0) return Math.min(floorMs * 2 ** (failures - 1), Math.max(refreshMs, ceilingMs))
        return Math.max(Math.min(refreshMs, answer?.ttlMs ?? refreshMs), floorMs)
      }

      async function keepFresh(entry: Entry): Promise<void> {
        while (!signal.aborted) {
          await delay(pauseAfter(entry), undefined, { signal }).catch(() => undefined)
          if (signal.aborted) return
          const error = await refresh(entry)
          if (signal.aborted) return
          report(entry, error)
          if (entry.failures === 0) publish(snapshot())
        }
      }

      try {
        const names = [...entries.values()]
        const faults = await Promise.all(names.map(refresh))
        if (signal.aborted) return
        const services = snapshot()
        if (names.length > 0 && services.every((service) => service.instances.length === 0)) {
          const each = names.map((entry, index) => `${entry.name.host} (${codeOf(faults[index])})`)
          throw new Error(`no name could be resolved: ${each.join(', ')}`)
        }
        for (const [index, entry] of names.entries()) report(entry, faults[index])
        publish(services)
        await (names.length > 0 ? Promise.all(names.map(keepFresh)) : once(signal, 'abort'))
      } finally {
        signal.removeEventListener('abort', cancel)
        resolver.cancel()
      }
    },
  } satisfies DiscoverySource<DnsOptions>
}

const servers = z
  .string()
  .transform((text) => text.split(/[\s,]+/).filter(Boolean))
  .refine(areServers, 'expected addresses of DNS servers such as 127.0.0.1:8600 or [::1]:53, not names')

const settings = z
  .object({
    environment: z.object({
      DNS_REFRESH: duration
        .refine((ms) => ms >= 1000 && ms <= 3_600_000, 'expected a duration from 1s to 1h')
        .prefault(dnsVariables.DNS_REFRESH.default),
      DNS_SERVER: servers.default([]),
    }),
    urls: z.custom<SourceInput['urls']>(),
  })
  .transform(
    ({ environment, urls }): DnsOptions => ({
      refreshMs: environment.DNS_REFRESH,
      servers: environment.DNS_SERVER,
      urls,
    }),
  )

export const dnsSource = createDnsSource()

/** Whether c-ares would take them: it is the one that has to. */
function areServers(list: readonly string[]): boolean {
  try {
    new dns.Resolver().setServers(list)
    return list.length > 0
  } catch {
    return false
  }
}

/** One instance for each id, in an order that the order of DNS answers does not change. */
function distinct(instances: readonly Instance[]): readonly Instance[] {
  const byId = new Map(instances.toReversed().map((instance) => [instance.id, instance]))
  return [...byId.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

function codeOf(error: Error | undefined): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? error?.message ?? 'unknown'
}
