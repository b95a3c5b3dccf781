import { retryDelayMs } from './faults.ts'

export interface Follower {
  /** There is something new, or there may be. */
  wake(): void
  /** Ends it; resolves when a read that is under way has ended. */
  stop(): Promise<void>
}

/**
 * Reads at once, when woken, and every so often; never twice at the same time. What wakes it during a read leads to
 * one more read after it. A failed read is tried again with back-off, at the latest after the interval.
 */
export function createFollower(
  read: () => Promise<void>,
  intervalMs: number,
  failed: (error: unknown) => void,
): Follower {
  let timer: NodeJS.Timeout | undefined
  let reading: Promise<void> | undefined
  let wokenMeanwhile = false
  let failures = 0
  let stopped = false

  function wake() {
    if (stopped) return
    if (reading !== undefined) {
      wokenMeanwhile = true
      return
    }
    clearTimeout(timer)
    reading = readOnce()
  }

  async function readOnce() {
    wokenMeanwhile = false
    try {
      await read()
      failures = 0
    } catch (error) {
      failures++
      // Once for each time that it begins to fail.
      if (failures === 1) failed(error)
    }
    reading = undefined
    if (stopped) return
    if (failures > 0) timer = setTimeout(wake, Math.min(retryDelayMs(failures), intervalMs))
    else if (wokenMeanwhile) wake()
    else timer = setTimeout(wake, intervalMs)
  }

  wake()
  return {
    wake,
    async stop() {
      stopped = true
      clearTimeout(timer)
      await reading
    },
  }
}
