/** Does something once for all who ask while it goes on. */
type SingleFlight<T> = (key: string, isEnough: (result: T) => boolean, work: () => Promise<T>) => Promise<T>

export interface Flights<T> {
  /**
   * What `work` that goes on for this key already resolves with, where that is enough, or what this one does. A failure
   * is everybody's.
   */
  readonly join: SingleFlight<T>
  /** Resolves when nothing goes on for this key, however it ended. */
  ended(key: string): Promise<void>
  /** Resolves when nothing goes on at all. */
  settled(): Promise<void>
}

export function createFlights<T>(): Flights<T> {
  const flights = new Map<string, Promise<T>>()
  const quiet = (flight: Promise<T> | undefined) =>
    flight?.then(
      () => {},
      () => {},
    )

  return {
    async join(key, isEnough, work) {
      for (let flight = flights.get(key); flight !== undefined; flight = flights.get(key)) {
        const result = await flight
        if (isEnough(result)) return result
      }
      const own = work().finally(() => flights.delete(key))
      flights.set(key, own)
      return own
    },
    async ended(key) {
      await quiet(flights.get(key))
    },
    async settled() {
      while (flights.size > 0) await Promise.all([...flights.values()].map(quiet))
    },
  }
}
