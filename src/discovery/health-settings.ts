import type { Description } from './description.ts'

/** When an instance of a service is left out, and how it comes in: proxy/outlier.ts. */
export interface HealthSettings {
  /** Failures in a row that eject an instance; 0 for never. */
  readonly ejectAfter: number
  /** How long the first time; the second takes twice as long, and so on. */
  readonly ejectTimeMs: number
  /** How much of the service may be ejected at once, in per cent; always one of two or more, unless it is 0. */
  readonly ejectPercent: number
  /** Where less than this of the service would be left, in per cent, all of it is used; 0 for never. */
  readonly panicPercent: number
  /** Over how long an instance that comes in is given more and more, up to its share; 0 for all at once. */
  readonly slowStartMs: number
}

/** Those of Envoy's outlier detection and panic threshold. */
const defaults: HealthSettings = Object.freeze({
  ejectAfter: 5,
  ejectTimeMs: 30_000,
  ejectPercent: 10,
  panicPercent: 50,
  slowStartMs: 0,
})

/** What a service says of it, with the defaults for the rest. */
export function healthSettings(description: Description): HealthSettings {
  return {
    ejectAfter: description['eject-after'] ?? defaults.ejectAfter,
    ejectTimeMs: description['eject-time'] ?? defaults.ejectTimeMs,
    ejectPercent: description['eject-share'] ?? defaults.ejectPercent,
    panicPercent: description.panic ?? defaults.panicPercent,
    slowStartMs: description['slow-start'] ?? defaults.slowStartMs,
  }
}
