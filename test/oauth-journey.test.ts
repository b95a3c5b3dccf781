import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { ownPostgres, sharedPostgres } from './support/database.ts'
import { journey } from './support/journeys.ts'
import type { Answer } from './support/oauth-gateway.ts'
import {
  type OAuthNeighbourhood,
  type OAuthReplica,
  oauthNeighbourhood,
} from './support/oauth-neighbourhood.ts'
import { until } from './support/until.ts'

/** How long the provider takes at least, in milliseconds: 1000, or what DELAY says; the acceptance is run with 3000. */
const delayMs = Number(process.env.DELAY ?? 1000)
/** How many ask at once: 50, or as many as CALLERS says. */
const callers = Number(process.env.CALLERS ?? 50)
/** How many connections wait for a provider that hangs: 30, or as many as WAITING says. */
const waitingCount = Number(process.env.WAITING ?? 30)
const slowMs = 30_000
/** Rotates: a refresh token that was used is dead. */
const provider = 'microsoft'

const freshDatabase = sharedPostgres()

/** Two gateways on one PostgreSQL, and somebody's connection that has expired. */
async function race(t: ExecutionContext, env: Readonly<Record<string, string>> = {}, url?: string) {
  t.timeout(4 * slowMs + 4 * delayMs)
  const databaseUrl = url ?? (await freshDatabase(t)).url
  const there = await oauthNeighbourhood(t, { databaseUrl, env: { OAUTH_PROVIDER_TIMEOUT: '30s', ...env } })
  const gateways = await Promise.all([there.start(), there.start()])
  const [a, b] = gateways as [OAuthReplica, OAuthReplica]
  const user = await there.logIn([a, b], provider)
  const token = { token: user.token }
  // What each has to know of the caller is known, and connections are open.
  for (const one of gateways) t.is((await one.send('GET', `/oauth/${user.id}`, token)).status, 200)
  await there.expire([user.id])
  const refreshes = () => there.door.passed.length - 1
  const refresh = (gateway: OAuthReplica) => gateway.send('POST', `/oauth/${user.id}/refresh`, token)
  const show = (gateway: OAuthReplica) => gateway.send('GET', `/oauth/${user.id}`, token)
  return { there, a, b, user, refreshes, refresh, show }
}

/** Asks so often at once, over both; the provider answers no sooner than they all wait. */
async function askTogether(
  { there, a, b, user }: Awaited<ReturnType<typeof race>>,
  ask: (gateway: OAuthReplica) => Promise<Answer>,
) {
  const { door } = there
  door.hold('answer')
  const began = performance.now()
  const asking = Promise.all(
    Array.from({ length: callers }, async (_, i) => {
      const answer = await ask(i % 2 === 0 ? a : b)
      return { ...answer, ms: performance.now() - began }
    }),
  )
  await door.held(1)
  await delay(delayMs)
  for (const one of [a, b]) await comeThrough(one, user)
  door.hold(undefined)
  door.release()
  return asking
}

/** Whoever takes the same way to the database now comes after those who have taken it before. */
async function comeThrough(gateway: OAuthReplica, { token }: { readonly token: string }): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    const { status } = await gateway.send('POST', `/oauth/${randomUUID()}/refresh`, { token })
    if (status !== 404) throw new Error(`expected 404, found ${status}`)
  }
}

const tokensOf = (answers: readonly Answer[]) => [...new Set(answers.map(({ json }) => json.access_token))]
const statusesOf = (answers: readonly Answer[]) => [...new Set(answers.map(({ status }) => status))]
const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`

journey('fifty refreshes at once over two gateways: one question, one new token for all', async (t) => {
  const given = await race(t)
  const answers = await askTogether(given, given.refresh)
  t.is(given.refreshes(), 1)
  t.deepEqual(statusesOf(answers), [200])
  t.is(tokensOf(answers).length, 1)
  t.true(given.there.dialects.issued.has(tokensOf(answers)[0]))
  const asked = given.refreshes()
  const next = await given.refresh(given.b)
  t.is(next.status, 200)
  t.not(next.json.access_token, tokensOf(answers)[0])
  t.is(given.refreshes(), 2)
  t.is((await given.show(given.a)).json.access_token, next.json.access_token)
  t.log(
    `POST refresh: ${answers.length} answered, ${answers.filter(({ status }) => status === 200).length} with 200, ` +
      `${tokensOf(answers).length} token among them, provider asked ${asked} time, slowest after ` +
      `${seconds(Math.max(...answers.map(({ ms }) => ms)))} (provider took ${seconds(delayMs)} and a little)`,
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
    const { there, a, b, user, refreshes, refresh, show } = await race(t)
    const other = await there.bring(b, provider, `user-${randomUUID()}`)
    const before = refreshes()
    there.door.hold(where)
    const lost = Promise.allSettled(Array.from({ length: callers / 2 }, () => refresh(a)))
    await there.door.held(1)
    const waiting = Promise.all(Array.from({ length: callers / 2 }, () => refresh(b)))
    // They have come as far as the lock.
    await until(
      async () =>
        (await there.sql(`select 1 from pg_stat_activity where wait_event_type = 'Lock'`)).length > 0,
      'the other gateway waits for the lock',
      slowMs,
    )
    await comeThrough(b, user)
    there.door.hold(undefined)
    await a.kill()
    const since = performance.now()
    const answers = await waiting
    const ms = performance.now() - since
    t.deepEqual([...new Set((await lost).map(({ status }) => status))], ['rejected'])
    const asked = refreshes() - before
    t.is(asked, 2, JSON.stringify(answers.map(({ status, json }) => [status, json.code, json.updated_at])))
    if (rotated) {
      t.deepEqual(statusesOf(answers), [409])
      t.deepEqual([...new Set(answers.map(({ json }) => json.code))], ['reauthorization_required'])
      const shown = await show(b)
      t.like(shown.json, { state: 'needs_reauth', access_token: undefined })
      const again = await there.logIn([b], provider)
      t.is(again.id, user.id, 'a login mends it')
      t.is((await show(b)).json.state, 'active')
    } else {
      t.deepEqual(statusesOf(answers), [200])
      t.is(tokensOf(answers).length, 1)
      t.is((await show(b)).json.access_token, tokensOf(answers)[0])
      t.is((await refresh(b)).status, 200)
    }
    const subject = (
      await there.sql(`select subject from munjigi.connections where id = '${other.json.id}'`)
    )[0]!
    const untouched = await b.sendAsClient('GET', `/oauth/${other.json.id}?subject=${subject.subject}`)
    t.is(untouched.json.access_token, other.json.access_token, 'nobody else is hurt')
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
  const { there, a, b, refreshes, refresh, show } = await race(t, env, await server.createDatabase())
  const { door } = there
  door.hold('answer')
  const began = performance.now()
  const timed = async (asked: Promise<Answer>) => ({ ...(await asked), ms: performance.now() - began })
  const asking = Array.from({ length: callers }, (_, i) => timed(refresh(i % 2 === 0 ? a : b)))
  await door.held(1)
  server.freeze()
  const late = [a, b].flatMap((one) => Array.from({ length: 5 }, () => timed(show(one))))
  await delay(delayMs)
  door.hold(undefined)
  door.release()
  const answers = await Promise.all([...asking, ...late])
  const boundMs = delayMs + statementMs + connectMs + 4000
  const slowest = Math.max(...answers.map(({ ms }) => ms))
  t.deepEqual(
    [...new Set(answers.map(({ status, json }) => `${status} ${json.code}`))],
    ['503 database_unavailable'],
  )
  t.true(answers.every(({ headers }) => headers.has('retry-after')))
  t.true(slowest < boundMs, `the last answer came after ${slowest} ms`)
  t.is(refreshes(), 1)
  const rotated = [...there.dialects.house.accessTokens.keys()].at(-1)
  server.thaw()
  const thawed = performance.now()
  const before: string[] = []
  for (const one of [a, b]) {
    await until(
      async () => {
        const { status, json } = await show(one)
        if (json.access_token !== rotated) before.push(`${status} ${json.code ?? json.state}`)
        return json.access_token === rotated
      },
      'the rotated token is served',
      slowMs,
    )
  }
  const recoveryMs = performance.now() - thawed
  t.is(refreshes(), 1, 'nobody asked with the old token meanwhile')
  for (const one of [a, b]) t.like((await show(one)).json, { state: 'active', access_token: rotated })
  t.is((await refresh(b)).status, 200, 'its refresh token is the rotated one')
  t.log(
    `frozen: ${answers.length} answered 503 database_unavailable, the last after ${seconds(slowest)} ` +
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
    t.true(largest < delayMs + 2000, `${path} waited for the provider`)
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
