import type { Measured } from './measure.ts'
import { ratios, type Spread, spread } from './statistics.ts'

/** What the gateway's CPU time per request is held to, as multiples of a peer's in the same run. */
const targets = [
  { peer: 'bare', atMost: 1.35 },
  { peer: '@fastify/http-proxy', atMost: 0.75 },
  { peer: 'http-proxy-middleware', atMost: 0.45 },
] as const

export interface Verdict {
  readonly scenario: string
  readonly peer: string
  readonly atMost: number
  /** Of the ratio over the rounds; undefined where one of the two has no figures. */
  readonly ratio: Spread | undefined
  readonly met: boolean
}

/** Holds the medians of the ratios to the targets, in every scenario. */
export function judge(measured: readonly Measured[]): Verdict[] {
  return measured.flatMap(({ scenario, figures }) => {
    const cpu = new Map([...figures].map(([c, f]) => [c.relay.name, c.fault ? undefined : f.cpuUsPerRequest]))
    const own = cpu.get('munjigi')
    return targets.map(({ peer, atMost }) => {
      const theirs = cpu.get(peer)
      const ratio = own && theirs && spread(ratios(own, theirs))
      return {
        scenario: scenario.name,
        peer,
        atMost,
        ratio,
        met: ratio !== undefined && ratio.median <= atMost,
      }
    })
  })
}
