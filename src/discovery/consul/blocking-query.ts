import { type BlockingOptions, ConsulError, type ConsulReply } from './client.ts'
import type { Turn } from './lines.ts'
import type { RateLimit } from './rate-limit.ts'

/** For an answer that is not waited for, and for its way where it is. A second try is better than a long wait. */
const answerMs = 3000

export interface FollowOptions<T> {
  /** The query as an error names it: `GET /v1/catalog/services`. */
  readonly what: string
  readonly ask: (options: BlockingOptions) => Promise<ConsulReply>
  /** Outlives the call, so that starting again is no way around it. */
  readonly allowed: RateLimit
  /** Asks when a connection is there to ask on; `isFirst` where the answer is not waited for. */
  readonly inTurn: <R>(isFirst: boolean, signal: AbortSignal, ask: (turn: Turn) => Promise<R>) => Promise<R>
  /** Makes sense of a body, or throws. */
  readonly parse: (body: unknown) => T
  readonly onAnswer: (answer: T) => void
  /** Whether an answer that says nothing new is of use all the same. Asked for each of them. */
  readonly wantsUnchanged: () => boolean
  readonly signal: AbortSignal
}

/**
 * Asks again and again, each time for what is newer than the last answer, by HashiCorp's rules for blocking
 * queries: an index below 1 is no index, one that goes backwards starts anew at 0, and requests are limited.
 * Ends by rejecting only: on any fault, or when the signal aborts.
 */
export async function followBlockingQuery<T>(options: FollowOptions<T>): Promise<never> {
  const { what, ask, allowed, inTurn, parse, onAnswer, wantsUnchanged, signal } = options
  let index = 0n
  for (;;) {
    await allowed(signal)
    index = await askOnce(index)
  }

  /** A function of its own, so that nothing of an answer is held in memory while the next one is waited for. */
  async function askOnce(index: bigint): Promise<bigint> {
    const { reply, isOverdue } = await inTurn(index === 0n, signal, async ({ waitMs, signal }) => {
      // Consul adds up to a sixteenth to the wait, to spread its clients.
      const timeoutMs = index === 0n ? answerMs : waitMs + waitMs / 16 + answerMs
      const askedAt = performance.now()
      const reply = await ask({ index: String(index), waitMs, signal, timeoutMs })
      return { reply, isOverdue: performance.now() - askedAt >= waitMs }
    })
    const next = readIndex(what, reply.headers['x-consul-index'])
    // What comes before the wait is over says something new, whatever its index is.
    const isUnchanged = next === index && isOverdue
    if (!isUnchanged || wantsUnchanged()) onAnswer(parse(reply.body))
    return next < index ? 0n : next
  }
}

/** An index of 0 would not block: asking with it again is a busy loop. */
function readIndex(what: string, header: string | string[] | undefined): bigint {
  if (typeof header === 'string' && /^\d{1,20}$/.test(header) && BigInt(header) > 0n) return BigInt(header)
  throw new ConsulError(`Consul: ${what}: a reply without a usable X-Consul-Index (${header ?? 'none'})`)
}
