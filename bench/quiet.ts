import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSeconds, machineCpuSeconds } from './processes.ts'

/** How much of one core the rest of the machine may use during a run before the run counts as disturbed. */
const TOLERATED = 0.1

/** Keeps an eye on what else uses the machine, and repeats the runs that it disturbed. */
export interface Quiet {
  /** Does the work again, at most `mostRepeats` times, while something else used more than 10 % of a core. */
  run<T>(work: () => Promise<T>): Promise<T>
  readonly repeated: number
  /** Runs that were kept although they were disturbed to the last. */
  readonly disturbed: number
}

export function createQuiet(mostRepeats: number): Quiet {
  let repeated = 0
  let disturbed = 0

  return {
    run: async (work) => {
      for (let attempt = 0; ; attempt++) {
        const startMs = performance.now()
        const before = othersSeconds()
        const result = await work()
        const others = (othersSeconds() - before) / ((performance.now() - startMs) / 1000)
        if (others <= TOLERATED) return result
        if (attempt === mostRepeats) {
          disturbed++
          return result
        }
        repeated++
        await sleep(1000)
      }
    },
    get repeated() {
      return repeated
    },
    get disturbed() {
      return disturbed
    },
  }
}

/** CPU seconds used by everything that is not this bench: relays, origin and load are all its descendants. */
const othersSeconds = (): number => machineCpuSeconds() - cpuSeconds(process.pid)
