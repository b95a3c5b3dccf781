import type { Instance } from '../source.ts'
import type { HostAnswer, Resolver, SrvRecord } from './resolver.ts'
import { instanceAt, type Name } from './target.ts'

/** What DNS said of one name, and what the next question needs in order to fill its gaps. */
export interface Answer {
  readonly instances: readonly Instance[]
  /** The shortest of the records it was made of; Infinity where none had one. */
  readonly ttlMs: number
  /** Why a part of it is missing or the one before. */
  readonly fault: Error | undefined
  readonly hosts: ReadonlyMap<string, HostAnswer>
}

/**
 * Asks DNS for the instances of a name. `previous` stands in for the parts that fail now: a family of
 * addresses, or a target of an SRV record. Rejects where nothing was found.
 */
export async function resolveName(
  resolver: Resolver,
  name: Name,
  previous: Answer | undefined,
): Promise<Answer> {
  const records: readonly SrvRecord[] =
    name.kind === 'srv' ? await resolver.services(name.host) : [{ ...name, weight: 1 }]
  const hosts = new Map<string, HostAnswer>()
  const faults: Error[] = []
  await Promise.all(
    [...new Set(records.map((record) => record.host))].map(async (host) => {
      const known = previous?.hosts.get(host)
      try {
        const answer = await resolver.addresses(host, known)
        hosts.set(host, answer)
        if (answer.fault !== undefined) faults.push(answer.fault)
      } catch (error) {
        // One host is the whole of the name: then the caller keeps what it has.
        if (name.kind === 'host') throw error
        faults.push(error as Error)
        if (known !== undefined) hosts.set(host, known)
      }
    }),
  )
  const instances = records.flatMap(({ host, port, weight }) => {
    const { ipv4 = [], ipv6 = [] } = hosts.get(host) ?? {}
    return [...ipv4, ...ipv6].map((address) => instanceAt(name, address, port, weight))
  })
  if (instances.length === 0) throw faults[0]
  const ttlMs = Math.min(...[...hosts.values()].map((answer) => answer.ttlMs))
  return { instances, ttlMs, fault: faults[0], hosts }
}
