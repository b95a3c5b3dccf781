import type { BalancingPolicy, Candidate, Picker } from './policy.ts'

/** Added up, the weights of a turn may stay this far below 1. */
const rounding = 1e-9
/** The fraction of the golden ratio: its multiples spread evenly over 0 to 1, however many there are. */
const goldenStep = 0.6180339887

/**
 * Each instance in turn. One with a lower weight lets turns pass: each adds its weight to what it has saved, and it
 * takes the turn once that comes to 1. They do not all begin with nothing, so that their turns fall between those of
 * the others rather than one after the other.
 */
export const roundRobin = {
  create: (): Picker => {
    let turn = 0
    let seen = 0
    const saved = new WeakMap<Candidate, number>()

    function isDue(candidate: Candidate): boolean {
      let sum = saved.get(candidate)
      if (sum === undefined) {
        seen += 1
        sum = (seen * goldenStep) % 1
      }
      sum += candidate.weight
      const due = sum >= 1 - rounding
      saved.set(candidate, due ? sum - 1 : sum)
      return due
    }

    return (candidates) => {
      const count = candidates.length
      // Where nobody has the full weight, as in what is left for a retry, the turn is soon somebody's.
      for (let passed = 0; passed < 2 * count; passed += 1) {
        turn = (turn + 1) % count
        const next = candidates[turn]!
        if (next.weight === 1 || isDue(next)) return next
      }
      return candidates[turn]!
    }
  },
} satisfies BalancingPolicy
