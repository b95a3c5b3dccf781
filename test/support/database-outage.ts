import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { atMost } from './figures.ts'
import type { Replica, TokenPair } from './replica.ts'
import { codeOf, type Reply } from './request.ts'
import { until } from './until.ts'

/** The settings that say how long a gateway without a database goes on, and how long it keeps callers waiting. */
export interface OutageTimes {
  readonly pollingMs: number
  readonly stalenessMs: number
  readonly statementMs: number
  readonly connectMs: number
}

export const outageSettings = (times: OutageTimes) => ({
  REVOCATION_POLLING_INTERVAL: `${times.pollingMs}ms`,
  REVOCATION_MAX_STALENESS: `${times.stalenessMs}ms`,
  DATABASE_STATEMENT_TIMEOUT: `${times.statementMs}ms`,
  DATABASE_CONNECT_TIMEOUT: `${times.connectMs}ms`,
})

export interface Outage {
  readonly begin: () => unknown
  readonly end: () => unknown
}

export interface OutageOptions {
  readonly gateway: Replica
  readonly times: OutageTimes
  /** How long it lasts at least. */
  readonly awayMs: number
  readonly outage: Outage
  /** What cannot be answered without the database, by a name of its own. */
  readonly questions: Questions
}

type Questions = Readonly<Record<string, () => Promise<Pick<Reply, 'status' | 'headers'>>>>

export interface SeenOutage {
  readonly awayMs: number
  /** When the last guarded request began that was answered 200, since the outage did. */
  readonly lastGoodMs: number
  readonly firstRefusedMs: number
  /** Guarded requests that were answered 503. */
  readonly refused: number
  /** Of the questions. */
  readonly slowestMs: number
  readonly guardedBackMs: number
  readonly endpointsBackMs: number
  /** Requests of open routes; none of them failed. */
  readonly open: number
  readonly requests: number
}

/** The endpoints of tokens. */
export const tokenQuestions = (gateway: Replica, pair: TokenPair): Questions => ({
  '/tokens/create': () => gateway.post('/tokens/create', { subject: 'user-1' }),
  '/tokens/refresh': () => gateway.post('/tokens/refresh', { refresh_token: pair.refresh_token }),
  '/tokens/revoke': () => gateway.post('/tokens/revoke', { token: pair.refresh_token }),
  '/tokens/verify': () => gateway.post('/tokens/verify', { token: pair.refresh_token }),
})

/**
 * Under load a gateway's database goes away and comes back. Open routes go on, guarded ones for as long as it was
 * promised and then answer 503, as do the questions, in bounded time; afterwards all is well again within 5 s.
 */
export async function seeOutage(t: ExecutionContext, options: OutageOptions): Promise<SeenOutage> {
  const { gateway, outage, questions } = options
  const { pollingMs, stalenessMs, statementMs, connectMs } = options.times
  const { access_token } = await gateway.create()
  const load = startLoad(gateway, access_token)
  t.teardown(load.stop)
  await until(() => load.replies.length > 200, 'there is load')

  const before = load.replies.length
  // What was fresh when it began stays so until the bound, at the earliest since the poll before.
  await outage.begin()
  const beganAt = performance.now()
  const asking = Promise.all(
    Object.entries(questions).map(async ([name, ask]) => {
      const { status, headers } = await ask()
      return { name, status, ms: performance.now() - beganAt, headers }
    }),
  )
  const during = () => load.replies.slice(before).filter(({ guarded }) => guarded)
  await delay(options.awayMs)
  await until(() => during().some(({ status }) => status !== 200), 'a guarded request is refused')
  const answers = await asking
  for (const { name, status, ms, headers } of answers) {
    t.is(status, 503, name)
    t.truthy(headers['retry-after'], name)
    t.true(ms < atMost(statementMs + connectMs + 1500), `${name} took ${ms} ms`)
  }
  t.is((await gateway.ask('/.well-known/jwks.json')).status, 200)
  t.is((await gateway.ask('/livez')).status, 200)
  const introspected = await gateway.post('/tokens/verify', { token: access_token })
  t.is(codeOf(introspected), 'token_state_unknown')

  const seen = during()
  const good = seen.filter(({ status }) => status === 200)
  const refused = seen.filter(({ status }) => status !== 200)
  const firstRefusedMs = Math.min(...refused.map(({ endedAt }) => endedAt)) - beganAt
  const lastGoodMs = Math.max(...good.map(({ startedAt }) => startedAt)) - beganAt
  t.deepEqual(
    [...new Set(refused.map(({ status, code }) => `${status} ${code}`))],
    ['503 token_state_unknown'],
  )
  t.true(refused.every(({ retryAfter }) => retryAfter !== undefined))
  t.true(firstRefusedMs > stalenessMs - pollingMs - 300, `the first 503 came after ${firstRefusedMs} ms`)
  t.true(lastGoodMs <= stalenessMs, `the last 200 came after ${lastGoodMs} ms`)

  const endAt = performance.now()
  await outage.end()
  const back = performance.now()
  await until(
    async () => (await gateway.ask('/api/house', access_token)).status === 200,
    'guarded routes are back',
  )
  const guardedBackMs = performance.now() - back
  t.true(guardedBackMs <= atMost(5000), `guarded routes came back after ${guardedBackMs} ms`)
  for (const [name, ask] of Object.entries(questions)) {
    await until(async () => (await ask()).status !== 503, `${name} is back`)
  }
  const endpointsBackMs = performance.now() - back
  t.true(endpointsBackMs <= atMost(5000), `everything came back after ${endpointsBackMs} ms`)
  const settled = load.replies.length
  await until(() => load.replies.length > settled + 200, 'load goes on')
  t.true(load.replies.slice(settled + 40).every(({ status }) => status === 200))
  await load.stop()
  const open = load.replies.filter(({ guarded }) => !guarded)
  t.deepEqual(
    open.filter(({ status }) => status !== 200),
    [],
  )
  return {
    ...{ awayMs: endAt - beganAt, lastGoodMs, firstRefusedMs, refused: refused.length },
    ...{ slowestMs: Math.max(...answers.map(({ ms }) => ms)), guardedBackMs, endpointsBackMs },
    ...{ open: open.length, requests: load.replies.length },
  }
}

interface LoadReply {
  readonly guarded: boolean
  readonly startedAt: number
  readonly endedAt: number
  readonly status: number
  readonly code: string | undefined
  readonly retryAfter: string | undefined
}

/** Twenty clients that ask for a guarded and an open path in turn, over connections that stay open. */
export function startLoad(gateway: Replica, token: string) {
  const replies: LoadReply[] = []
  let going = true
  const clients = Array.from({ length: 20 }, async (_, i) => {
    for (let count = i; going; count++) {
      const guarded = count % 2 === 0
      const startedAt = performance.now()
      const reply = await gateway
        .ask(guarded ? '/api/house' : '/api/house/open', guarded ? token : undefined)
        .catch((error: Error) => ({ status: 0, body: JSON.stringify({ code: error.message }), headers: {} }))
      replies.push({
        guarded,
        startedAt,
        endedAt: performance.now(),
        status: reply.status,
        code: reply.status === 200 ? undefined : codeOf(reply),
        retryAfter: (reply.headers as Record<string, string>)['retry-after'],
      })
      await delay(40)
    }
  })
  return {
    replies: replies as readonly LoadReply[],
    async stop() {
      going = false
      await Promise.all(clients)
    },
  }
}
