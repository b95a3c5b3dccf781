export interface Repeated {
  start(): void
  /** Resolves when what runs has ended. */
  stop(): Promise<void>
}

export interface RepeatOptions {
  /** On average: replicas that start together drift apart. */
  readonly everyMs: number
  /** Whether it can be done at all; asked anew every second or so. */
  readonly ready: () => boolean
  /** @param stopped whether to leave off early. What it throws is somebody else's to tell. */
  readonly work: (stopped: () => boolean) => Promise<void>
  readonly random: () => number
}

const notReadyMs = 1000

/** Does something in the background, now and every so often, never twice at once. */
export function createRepeated({ everyMs, ready, work, random }: RepeatOptions): Repeated {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let stopped = true

  async function run(): Promise<void> {
    const able = ready()
    if (able) await work(() => stopped).catch(() => {})
    running = undefined
    if (!stopped) schedule((able ? everyMs : notReadyMs) * (0.5 + random()))
  }

  function schedule(ms: number): void {
    timer = setTimeout(() => {
      running = run()
    }, ms).unref()
  }

  return {
    start() {
      if (!stopped) return
      stopped = false
      schedule(0)
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}
