/** Whether the tests are run for figures (`FIGURES=1`): one file at a time, on a machine that does nothing else. */
const forFigures = process.env.FIGURES === '1'

/**
 * The bound of what was promised to take no longer than this. It is asserted to the letter where figures are wanted;
 * in the suite, which a busy machine may hold up anywhere, it only tells what comes from what does not.
 */
export const atMost = (ms: number): number => (forFigures ? ms : Math.max(20 * ms, 60_000))

/** Milliseconds that a processor worked at it, whatever else the machine did meanwhile. */
export function cpuMs(run: () => void): number {
  const before = process.threadCpuUsage()
  run()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}
