/** How a process of ours lives: start, run until told to stop, stop in good order. */
export interface Lifecycle {
  /** Starts everything and gives what ends it. Rejects with a message for the operator. */
  readonly start: () => Promise<() => Promise<void>>
  /** Says why it could not start, or could not stop in good order. */
  readonly complain: (message: string) => void
}

/**
 * Runs until SIGTERM or SIGINT, then stops and exits 0; exits 1 where the start or the stop fails.
 *
 * Ctrl-C reaches a process twice when npm passes it on as well, so a second signal changes nothing; a person
 * who has waited over two seconds and presses it again wants out at once (exit 130, as shells have it).
 */
export async function run({ start, complain }: Lifecycle): Promise<void> {
  let stop: (() => Promise<void>) | undefined
  let asked: number | undefined
  const onSignal = () => {
    if (asked !== undefined) {
      if (performance.now() - asked > 2000) process.exit(130)
      return
    }
    asked = performance.now()
    if (stop !== undefined) void finish(stop)
  }
  function giveUp(error: unknown): never {
    complain(error instanceof Error ? error.message : String(error))
    process.exit(1)
  }
  async function finish(end: () => Promise<void>): Promise<never> {
    await end().catch(giveUp)
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onSignal)
  // Whoever reads the log may go away; the requests in flight are none of its business.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  stop = await start().catch(giveUp)
  if (asked !== undefined) await finish(stop)
}
