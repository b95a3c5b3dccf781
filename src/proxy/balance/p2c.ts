import type { BalancingPolicy } from './policy.ts'

/**
 * Power of two random choices: of two instances drawn at random, the one with fewer requests in flight.
 * Within a constant of the best possible balance (Mitzenmacher 2001) for two draws and one comparison.
 */
export const p2c = {
  create: (random) => (candidates) => {
    const count = candidates.length
    if (count === 1) return candidates[0]!
    const first = Math.floor(random() * count)
    // Draw the second among the others, so that the two differ.
    const second = (first + 1 + Math.floor(random() * (count - 1))) % count
    const a = candidates[first]!
    const b = candidates[second]!
    return b.inFlight < a.inFlight ? b : a
  },
} satisfies BalancingPolicy
