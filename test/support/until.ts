import { setTimeout as delay } from 'node:timers/promises'

/**
 * How long a test waits for what has to happen. It is for what hangs, never for what is slow: a machine ten times
 * slower than this one, or one that stands still for ten seconds, is not to fail a test.
 */
export const patienceMs = 120_000

/** Waits for what has no event of its own; fails naming what was waited for, and with what `seen` tells of it. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  seen?: () => string,
): Promise<void> {
  const deadline = Date.now() + patienceMs
  while (!(await condition())) {
    if (Date.now() > deadline) {
      throw new Error(`not within ${patienceMs} ms: ${what}${seen === undefined ? '' : `\n${seen()}`}`)
    }
    await delay(10)
  }
}
