import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { Pool } from 'undici'

export interface FailedRequest {
  readonly method: string
  /** Of a POST: what it had in its body. */
  readonly id: string
  /** The status, or the error's code. */
  readonly outcome: string
}

export interface BurstyLoad {
  /** Answered or failed so far. */
  readonly requests: number
  /** What was not answered with 200. */
  readonly failures: readonly FailedRequest[]
  /** The bodies of the POSTs that were. */
  readonly acknowledged: readonly string[]
  /** Replies that said `Connection: close`. */
  readonly closes: number
  stop(): Promise<void>
}

export interface LoadOptions {
  readonly clients: number
  /** GETs and POSTs of a client at a time, over as many kept connections. */
  readonly atOnce: number
  /** The longest pause of a client between two rounds of requests. */
  readonly pauseMs: number
}

/**
 * GETs and POSTs in equal parts, in bursts of changing size, so that some of the kept connections are always idle and
 * come to be used at any time. Nothing is ever repeated: what fails has failed. Each POST has a body of its own.
 */
export function startBurstyLoad(
  t: ExecutionContext,
  url: string,
  { clients, atOnce, pauseMs }: LoadOptions,
): BurstyLoad {
  const { origin, pathname } = new URL(url)
  const failures: FailedRequest[] = []
  const acknowledged: string[] = []
  let requests = 0
  let closes = 0
  const stopping = new AbortController()

  async function ask(pool: Pool, method: 'GET' | 'POST', id: string): Promise<void> {
    try {
      const reply = await pool.request({
        path: pathname,
        method,
        ...(method === 'POST' && { body: id, headers: { 'content-type': 'text/plain' } }),
      })
      const text = await reply.body.text()
      if (reply.headers.connection === 'close') closes += 1
      if (reply.statusCode !== 200) failures.push({ method, id, outcome: `${reply.statusCode} ${text}` })
      else if (method === 'POST') acknowledged.push(id)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      failures.push({ method, id, outcome: `${code} ${message}` })
    }
    requests += 1
  }

  async function client(name: number): Promise<void> {
    const pool = new Pool(origin, { connections: atOnce })
    for (let round = 0; !stopping.signal.aborted; round += 1) {
      const burst = Array.from({ length: 1 + Math.floor(Math.random() * atOnce) }, (_, i) =>
        ask(pool, (round + i) % 2 === 0 ? 'GET' : 'POST', `${name}-${round}-${i}`),
      )
      await Promise.all(burst)
      await delay(Math.random() ** 3 * pauseMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
    await pool.close()
  }

  const running = Promise.all(Array.from({ length: clients }, (_, name) => client(name)))
  async function stop(): Promise<void> {
    stopping.abort()
    await running
  }
  t.teardown(stop)
  return {
    get requests() {
      return requests
    },
    failures,
    acknowledged,
    get closes() {
      return closes
    },
    stop,
  }
}

/** Counts the bodies of POSTs: how often each has come to the houses. */
export function createCountingHouse() {
  const times = new Map<string, number>()
  return {
    count: (id: string) => void times.set(id, (times.get(id) ?? 0) + 1),
    timesOf: (id: string) => times.get(id) ?? 0,
    /** Those that came more than once. */
    repeated: () => [...times].filter(([, count]) => count > 1).map(([id]) => id),
  }
}
