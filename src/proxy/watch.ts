/**
 * One timer with a deadline that moves. A request waits for several things one after the other; setting a new
 * timer for each is most of what a timer costs, so the one that runs is left running and looks at the deadline
 * when it goes off: early, it sets itself again for what is left.
 */
export class Watch {
  private readonly onTimeout: () => void
  private timer: NodeJS.Timeout | undefined
  /** Milliseconds, monotonic. */
  private dueAt = Number.POSITIVE_INFINITY
  private firesAt = Number.POSITIVE_INFINITY

  constructor(onTimeout: () => void) {
    this.onTimeout = onTimeout
  }

  /** Goes off in so many milliseconds, unless told otherwise before. */
  within(ms: number): void {
    const now = performance.now()
    this.dueAt = now + ms
    if (this.firesAt > this.dueAt) this.arm(ms, now)
  }

  /** Milliseconds until it goes off. */
  left(): number {
    return this.dueAt - performance.now()
  }

  /** Nothing is waited for now. */
  rest(): void {
    this.dueAt = Number.POSITIVE_INFINITY
  }

  /** Nothing will be waited for again. */
  end(): void {
    clearTimeout(this.timer)
  }

  private arm(ms: number, now: number): void {
    clearTimeout(this.timer)
    this.firesAt = now + ms
    this.timer = setTimeout(onTimer, ms, this)
  }

  private look(): void {
    const now = performance.now()
    this.firesAt = Number.POSITIVE_INFINITY
    if (this.dueAt === Number.POSITIVE_INFINITY) return
    // Timers are a fraction of a millisecond early at times; nothing is gained by setting one for that.
    const left = this.dueAt - now
    if (left < 1) this.onTimeout()
    else this.arm(Math.ceil(left), now)
  }

  static go(watch: Watch): void {
    watch.look()
  }
}

const onTimer = (watch: Watch) => Watch.go(watch)
