import { p2c } from './p2c.ts'
import type { BalancingPolicy } from './policy.ts'
import { roundRobin } from './round-robin.ts'

/** Every balancing policy: a new one is one file and one line here. */
export const balancingPolicies = {
  p2c,
  'round-robin': roundRobin,
} as const satisfies Record<string, BalancingPolicy>

export type BalancingPolicyName = keyof typeof balancingPolicies
