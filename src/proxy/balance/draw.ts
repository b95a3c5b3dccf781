import type { Candidate } from './policy.ts'

/** Draws that may be turned down in a row before the weights are added up. */
const mostRefusals = 16

/**
 * Draws one candidate by weight, and gives its index: uniformly, and what was drawn is kept with the probability of
 * its weight. With weights of 1 that is one draw and one comparison, and nothing has to be prepared where they change.
 *
 * @param without the index that is not to be drawn, if any
 */
export function drawByWeight(
  candidates: readonly Candidate[],
  random: () => number,
  without = candidates.length,
): number {
  const among = without < candidates.length ? candidates.length - 1 : candidates.length
  for (let refusals = 0; refusals < mostRefusals; refusals += 1) {
    const index = (without + 1 + Math.floor(random() * among)) % candidates.length
    const { weight } = candidates[index]!
    if (weight === 1 || among === 1 || random() < weight) return index
  }
  return drawBySum(candidates, random, without)
}

/** The same by adding up the weights: exact as well, in time that grows with their number. */
function drawBySum(candidates: readonly Candidate[], random: () => number, without: number): number {
  let sum = 0
  for (const [index, { weight }] of candidates.entries()) if (index !== without) sum += weight
  let left = random() * sum
  let last = 0
  for (const [index, { weight }] of candidates.entries()) {
    if (index === without) continue
    last = index
    left -= weight
    if (left < 0) break
  }
  return last
}
