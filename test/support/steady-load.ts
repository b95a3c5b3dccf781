import type { ExecutionContext } from 'ava'

export interface SteadyLoad {
  /** Requests that were begun so far. */
  readonly sent: number
  /** What was not answered with 200. */
  readonly failures: readonly string[]
  /** Resolves once the last reply is there. */
  stop(): Promise<void>
}

export interface SteadyLoadOptions {
  readonly connections?: number
  /** The body of every reply. */
  readonly onReply?: (text: string) => void
}

/** GETs one after the other on each connection until stopped, to each URL in turn. */
export function startSteadyLoad(
  t: Pick<ExecutionContext, 'teardown'>,
  url: string | readonly string[],
  { connections = 8, onReply = () => {} }: SteadyLoadOptions = {},
): SteadyLoad {
  const urls = typeof url === 'string' ? [url] : url
  const failures: string[] = []
  let sent = 0
  let going = true
  t.teardown(() => {
    going = false
  })
  const workers = Array.from({ length: connections }, async () => {
    while (going) {
      const next = urls[sent % urls.length]!
      sent += 1
      try {
        const reply = await fetch(next)
        const text = await reply.text()
        if (reply.status !== 200) failures.push(`${reply.status} ${text}`)
        onReply(text)
      } catch (error) {
        failures.push(String(error))
      }
      // A steady trickle: what counts is that it never stops, not how much it is.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })
  return {
    get sent() {
      return sent
    },
    failures,
    async stop() {
      going = false
      await Promise.all(workers)
    },
  }
}
