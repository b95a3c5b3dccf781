/** What a policy may look at. */
export interface Candidate {
  /** Requests sent to it that have not finished. */
  readonly inFlight: number
}

/** Chooses among a service's usable instances. `create` gives one picker per route, so that it may keep state. */
export interface BalancingPolicy {
  create(random: () => number): Picker
}

/** Takes at least one candidate and gives one of them; never waits. */
export type Picker = <T extends Candidate>(candidates: readonly T[]) => T
