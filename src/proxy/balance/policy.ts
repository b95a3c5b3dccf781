/** What a policy may look at. */
export interface Candidate {
  /** Requests sent to it that have not finished. */
  readonly inFlight: number
  /**
   * Its share beside the candidate that is due the most, which has 1: above 0, at most 1. Nearly always 1, so that
   * a policy learns with one comparison that there is nothing to weigh.
   */
  readonly weight: number
}

/** Chooses among a service's usable instances. `create` gives one picker per route, so that it may keep state. */
export interface BalancingPolicy {
  create(random: () => number): Picker
}

/** Takes at least one candidate and gives one of them; never waits. */
export type Picker = <T extends Candidate>(candidates: readonly T[]) => T
