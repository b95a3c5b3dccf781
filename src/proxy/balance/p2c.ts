import { drawByWeight } from './draw.ts'
import type { BalancingPolicy, Candidate } from './policy.ts'

/**
 * Power of two random choices: of two instances drawn at random, the one with fewer requests in flight.
 * Within a constant of the best possible balance (Mitzenmacher 2001) for two draws and one comparison.
 *
 * Where there are weights the two are drawn by them, and compared by requests in flight for their weight.
 */
export const p2c = {
  create: (random) => (candidates) => {
    const count = candidates.length
    if (count === 1) return candidates[0]!
    const first = drawn(candidates, random, Math.floor(random() * count))
    // Draw the second among the others, so that the two differ.
    const other = (first + 1 + Math.floor(random() * (count - 1))) % count
    const a = candidates[first]!
    const b = candidates[drawn(candidates, random, other, first)]!
    return b.inFlight * a.weight < a.inFlight * b.weight ? b : a
  },
} satisfies BalancingPolicy

/** What was drawn first holds with the probability of its weight: nearly always without another draw. */
function drawn(
  candidates: readonly Candidate[],
  random: () => number,
  index: number,
  without?: number,
): number {
  const { weight } = candidates[index]!
  return weight === 1 || random() < weight ? index : drawByWeight(candidates, random, without)
}
