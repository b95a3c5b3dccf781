import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { ownPostgres, sharedPostgres } from './support/database.ts'
import { atMost } from './support/figures.ts'
import { journey } from './support/journeys.ts'
import type { Answer } from './support/oauth-gateway.ts'
import type { OAuthNeighbourhood, OAuthReplica } from './support/oauth-neighbourhood.ts'
import {
  askTogether,
  freezeInMidCall,
  killHolder,
  provider,
  refreshTogether,
  startRace,
  statusesOf,
  tokensOf,
} from './support/oauth-race.ts'

/** How long the provider takes at least, in milliseconds: 1000, or what DELAY says; the acceptance is run with 3000. */
const delayMs = Number(process.env.DELAY ?? 1000)
/** How many ask at once: 50, or as many as CALLERS says. */
const callers = Number(process.env.CALLERS ?? 50)
/** How many connections wait for a provider that hangs: 30, or as many as WAITING says. */
const waitingCount = Number(process.env.WAITING ?? 30)

const freshDatabase = sharedPostgres()

const race = async (t: ExecutionContext, env: Readonly<Record<string, string>> = {}, url?: string) =>
  startRace(t, { databaseUrl: url ?? (await freshDatabase(t)).url, env, callers, delayMs })

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`

journey('fifty refreshes at once over two gateways: one question, one new token for all', async (t) => {
  const { answers, asked, slowestMs } = await refreshTogether(t, await race(t))
  t.log(
    `POST refresh: ${answers.length} answered, ${answers.filter(({ status }) => status === 200).length} with 200, ` +
      `${tokensOf(answers).length} token among them, provider asked ${asked} time, slowest after ` +
      `${seconds(slowestMs)} (provider took ${seconds(delayMs)} and a little)`,
  )
})

journey('fifty who look at an expired connection at once: one question as well', async (t) => {
  const given = await race(t)
  const answers = await askTogether(given, given.show)
  t.deepEqual(statusesOf(answers), [200])
  t.is(tokensOf(answers).length, 1)
  t.is((await given.show(given.b)).json.access_token, tokensOf(answers)[0])
  t.is(given.refreshes(), 1)
  t.log(
    `GET: ${answers.length} answered with ${tokensOf(answers).length} token, provider asked ${given.refreshes()} time, ` +
      `slowest after ${seconds(Math.max(...answers.map(({ ms }) => ms)))}`,
  )
})

for (const where of ['question', 'answer'] as const) {
  const rotated = where === 'answer'
  const title = `kill -9 of who holds the lock, the provider had ${rotated ? '' : 'not '}rotated: the other finishes`
  journey(title, async (t) => {
    const { answers, asked, ms } = await killHolder(t, await race(t), where)
    t.log(
      `provider had ${rotated ? '' : 'not '}rotated: ${answers.length} waiting at the other answered ` +
        `${statusesOf(answers)} within ${seconds(ms)} of the kill, provider asked ${asked} times in all`,
    )
  })
}

journey('PostgreSQL frozen in mid-call: bounded answers, then both serve the rotated token', async (t) => {
  const server = await ownPostgres(t)
  const [statementMs, connectMs] = [2000, 1000]
  const env = {
    DATABASE_STATEMENT_TIMEOUT: `${statementMs}ms`,
    DATABASE_CONNECT_TIMEOUT: `${connectMs}ms`,
    REVOCATION_MAX_STALENESS: '120s',
  }
  const boundMs = delayMs + statementMs + connectMs + 4000
  const given = await race(t, env, await server.createDatabase())
  const { answers, slowestMs, recoveryMs, before } = await freezeInMidCall(t, given, server, boundMs)
  t.log(
    `frozen: ${answers.length} answered 503 database_unavailable, the last after ${seconds(slowestMs)} ` +
      `(bound ${seconds(boundMs)}); both served the rotated token ${seconds(recoveryMs)} after SIGCONT ` +
      `(before it: ${countsOfTexts(before) || 'nothing else'})`,
  )
})

journey('while a provider hangs and many wait for it, everything else goes on', async (t) => {
  const given = await race(t, { OAUTH_PROVIDER_TIMEOUT: `${delayMs + 2000}ms`, DATABASE_POOL_SIZE: '4' })
  const { there, a, user } = given
  const { door } = there
  const subjects = Array.from({ length: waitingCount }, () => `user-${randomUUID()}`)
  const brought: Answer[] = []
  for (const subject of subjects) brought.push(await there.bring(a, provider, subject))
  t.deepEqual(statusesOf(brought), [201])
  await there.expire(brought.map(({ json }) => json.id))
  door.hold('question')
  const waiting = Promise.all(
    brought.map(({ json }, i) => a.sendAsClient('GET', `/oauth/${json.id}?subject=${subjects[i]}`)),
  )
  await door.held(1)
  const latencies = await measured(given, delayMs)
  door.hold(undefined)
  door.release()
  const answers = await waiting
  for (const [path, sorted] of Object.entries(latencies)) {
    const [median, largest] = [sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!]
    t.log(
      `${path}: ${sorted.length} requests, median ${median.toFixed(1)} ms, largest ${largest.toFixed(1)} ms`,
    )
    t.true(largest < atMost(delayMs + 2000), `${path} waited for the provider`)
  }
  t.log(`of ${answers.length} that waited: ${countsOf(answers)}`)
  t.true(answers.every(({ status }) => status === 200))
  t.is((await a.send('GET', '/oauth', { token: user.token })).status, 200)
})

/** What others see of a gateway meanwhile: latencies in milliseconds, sorted. Every answer is a good one. */
async function measured({ there, a }: { there: OAuthNeighbourhood; a: OAuthReplica }, forMs: number) {
  const questions = {
    '/tokens/create': () => a.sendAsClient('POST', '/tokens/create', { subject: 'user-1' }),
    '/api/house/open': () => a.send('GET', '/api/house/open'),
    '/oauth/providers': () => a.send('GET', '/oauth/providers'),
  }
  const latencies: Record<string, number[]> = {}
  const end = performance.now() + Math.max(500, forMs)
  await Promise.all(
    Object.entries(questions).map(async ([path, ask]) => {
      const found: number[] = []
      latencies[path] = found
      while (performance.now() < end) {
        const since = performance.now()
        const { status, text } = await ask()
        if (status !== 200) throw new Error(`${path}: ${status} ${text}`)
        found.push(performance.now() - since)
        await delay(5)
      }
      found.sort((one, other) => one - other)
    }),
  )
  if (there.door.passed.length === 0) throw new Error('nobody asked the provider')
  return latencies
}

const countsOf = (answers: readonly Answer[]) =>
  countsOfTexts(answers.map(({ status, json }) => `${status} ${json.code ?? json.state}`))

function countsOfTexts(texts: readonly string[]): string {
  const distinct = [...new Set(texts)]
  return distinct.map((text) => `${texts.filter((one) => one === text).length} × ${text}`).join(', ')
}
