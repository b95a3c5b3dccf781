import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { type Answer, resolveName } from '../dns/resolve.ts'
import { createResolver } from '../dns/resolver.ts'
import { type DnsOptions, dnsSettings, dnsVariables } from '../dns/settings.ts'
import { type Name, parseTarget, type Target } from '../dns/target.ts'
import type { DiscoverySource, Instance, Service } from '../source.ts'

export interface DnsTiming {
  /** No name is asked for more often, whatever its time to live; also the first back-off. */
  readonly floorMs: number
  /** The longest back-off, unless the refresh is longer. */
  readonly ceilingMs: number
  /** How long the first of two tries waits for a DNS server. */
  readonly tryMs: number
  /** How long names that do answer wait for those that do not, before the first snapshot. */
  readonly patienceMs: number
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
  const { floorMs = 1000, ceilingMs = 30_000, tryMs = 1500, patienceMs = 5000 } = timing

  return {
    name: 'dns',
    takesUrls: true,
    variables: dnsVariables,
    settings: dnsSettings,
    async watch({ refreshMs, servers, urls }, publish, { log, signal }) {
      if (signal.aborted) return
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
          const code = codeOf(error)
          log.warn({ source: 'dns', host, code }, `dns: ${host}: ${kept}: ${code}`)
        }
        if (error === undefined && entry.faulty) {
          log.info({ source: 'dns', host }, `dns: ${host} is answered for again`)
        }
        entry.faulty = error !== undefined
      }

      function pauseAfter({ failures, answer }: Entry): number {
        if (failures > 0) return Math.min(floorMs * 2 ** (failures - 1), Math.max(refreshMs, ceilingMs))
        return Math.max(Math.min(refreshMs, answer?.ttlMs ?? refreshMs), floorMs)
      }

      async function keepFresh(entry: Entry, first: ReturnType<typeof refresh>): Promise<void> {
        for (let error = await first; !signal.aborted; error = await refresh(entry)) {
          report(entry, error)
          if (entry.failures === 0) publish(snapshot())
          await pause(pauseAfter(entry), signal)
          if (signal.aborted) return
        }
      }

      try {
        const names = [...entries.values()]
        const firsts = names.map(refresh)
        await orAfter(patienceMs, Promise.all(firsts))
        if (!snapshot().some((service) => service.instances.length > 0) && names.length > 0) {
          await oneAnswer(names, firsts)
        }
        if (signal.aborted) return
        publish(snapshot())
        if (signal.aborted) return
        const loops = names.map((entry, index) => keepFresh(entry, firsts[index]!))
        await (loops.length > 0 ? Promise.all(loops) : once(signal, 'abort'))
      } catch (error) {
        if (!signal.aborted) throw error
      } finally {
        signal.removeEventListener('abort', cancel)
        resolver.cancel()
      }
    },
  } satisfies DiscoverySource<DnsOptions>
}

export const dnsSource = createDnsSource()

/** One instance for each id, in an order that the order of DNS answers does not change. */
function distinct(instances: readonly Instance[]): readonly Instance[] {
  const byId = new Map(instances.toReversed().map((instance) => [instance.id, instance]))
  return [...byId.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

function codeOf(error: Error | undefined): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? error?.message ?? 'unknown'
}

/** Waits for the first name that has an answer; rejects, naming them all, where none gets one. */
async function oneAnswer(names: readonly Entry[], firsts: readonly Promise<Error | undefined>[]) {
  const answers = names.map(async (entry, index) => {
    const error = await firsts[index]
    if (entry.answer === undefined) throw error
  })
  await Promise.any(answers).catch(({ errors }: AggregateError) => {
    const each = names.map((entry, index) => `${entry.name.host} (${codeOf(errors[index])})`)
    throw new Error(`no name could be resolved: ${each.join(', ')}`)
  })
}

/** Waits, or returns at once when the signal aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}

/** Waits for the work, but no longer than that. */
async function orAfter(ms: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController()
  await Promise.race([work, pause(ms, done.signal)])
  done.abort()
}
