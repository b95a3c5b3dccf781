import { setImmediate as nextTurn } from 'node:timers/promises'

/** Work that may be interrupted wherever it yields. */
export type Steps<T> = Generator<undefined, T, undefined>

/** Does all of it now. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

/** Does it between other work: whoever has a request in the gateway does not wait for the end of it. */
export async function inSlices<T>(steps: Steps<T>, breathe: Breather = createBreather()): Promise<T> {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
    const pause = breathe()
    if (pause !== undefined) await pause
  }
}

/** To be awaited now and then in long work; undefined while it need not be. */
export type Breather = () => Promise<void> | undefined

/** How long the event loop is held at a time. */
const sliceMs = 5

/**
 * Gives the event loop a turn each time that it has been held for long enough, and no sooner: under load a turn takes
 * a while.
 */
export function createBreather(
  now: () => number = () => performance.now(),
  turn: () => Promise<void> = nextTurn,
): Breather {
  let since = now()
  return () => (now() - since < sliceMs ? undefined : breathe())

  async function breathe(): Promise<void> {
    await turn()
    since = now()
  }
}
