import type { EventEmitter } from 'node:events'

/** How a request for what others wait for ended. */
export type Landing =
  /** Its reply is stored. */
  | 'stored'
  /** Its reply is for nobody else. */
  | 'unshared'
  /** It failed: whoever waited asks for himself. */
  | 'alone'
  /** Its client left or reads too slowly, or what it was bringing has been changed meanwhile: another one has to ask. */
  | 'again'
  /** It takes too long. */
  | 'late'

/** A request to a house for a reply that others may be given as well. */
export interface Flight {
  land(landing: Landing): void
}

export interface Flights {
  /** Undefined where one is on its way already. */
  begin(key: string): Flight | undefined
  isOnItsWay(key: string): boolean
  /** Resolves once the flight has landed, or after so many milliseconds, or when the client is gone. */
  wait(key: string, ms: number, client: Pick<EventEmitter, 'once' | 'off'>): Promise<Landing>
}

type Listener = (landing: Landing) => void

/** Of many requests for one key one asks the house, and the others wait for it: request collapsing. */
export function createFlights(): Flights {
  const flights = new Map<string, Set<Listener>>()
  return {
    begin(key) {
      if (flights.has(key)) return undefined
      const waiting = new Set<Listener>()
      flights.set(key, waiting)
      return {
        land(landing) {
          if (flights.get(key) !== waiting) return
          flights.delete(key)
          for (const tell of waiting) tell(landing)
        },
      }
    },
    isOnItsWay: (key) => flights.has(key),
    wait(key, ms, client) {
      const waiting = flights.get(key)
      if (waiting === undefined) return Promise.resolve('again')
      return new Promise((resolve) => {
        const tell = (landing: Landing) => {
          clearTimeout(timer)
          client.off('close', leave)
          waiting.delete(tell)
          resolve(landing)
        }
        const leave = () => tell('late')
        const timer = setTimeout(leave, ms)
        client.once('close', leave)
        waiting.add(tell)
      })
    },
  }
}
