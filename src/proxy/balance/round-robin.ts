import type { BalancingPolicy } from './policy.ts'

/** Each instance in turn. */
export const roundRobin = {
  create: () => {
    let turn = 0
    return (candidates) => {
      turn = (turn + 1) % candidates.length
      return candidates[turn]!
    }
  },
} satisfies BalancingPolicy
