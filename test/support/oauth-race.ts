import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { atMost } from './figures.ts'
import type { Answer } from './oauth-gateway.ts'
import { type OAuthReplica, oauthNeighbourhood } from './oauth-neighbourhood.ts'
import type { TestPostgres } from './postgres.ts'
import type { Held } from './turnstile.ts'
import { until } from './until.ts'

const lockWaits = `select 1 from pg_stat_activity
  where wait_event_type = 'Lock' and datname = current_database()`
/** Rotates: a refresh token that was used is dead. */
export const provider = 'microsoft'

export interface RaceOptions {
  readonly databaseUrl: string
  readonly env?: Readonly<Record<string, string>>
  /** How many ask at once. */
  readonly callers: number
  /** How long the provider takes at least. */
  readonly delayMs: number
}

/** Two gateways on one PostgreSQL, and somebody's connection that has expired. */
export async function startRace(t: ExecutionContext, { databaseUrl, env, callers, delayMs }: RaceOptions) {
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
  return { there, a, b, user, refreshes, refresh, show, callers, delayMs }
}

export type Race = Awaited<ReturnType<typeof startRace>>

/** Asks so often at once, over both; the provider answers no sooner than they all wait. */
export async function askTogether(
  { there, a, b, user, callers, delayMs }: Race,
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

export const tokensOf = (answers: readonly Answer[]) => [
  ...new Set(answers.map(({ json }) => json.access_token)),
]
export const statusesOf = (answers: readonly Answer[]) => [...new Set(answers.map(({ status }) => status))]
/** All of them refresh at once over both gateways: one question to the provider, one new token for all. */
export async function refreshTogether(t: ExecutionContext, race: Race) {
  const before = race.refreshes()
  const answers = await askTogether(race, race.refresh)
  const asked = race.refreshes() - before
  t.is(asked, 1)
  t.deepEqual(statusesOf(answers), [200])
  t.is(tokensOf(answers).length, 1)
  t.true(race.there.dialects.issued.has(tokensOf(answers)[0]))
  const next = await race.refresh(race.b)
  t.is(next.status, 200)
  t.not(next.json.access_token, tokensOf(answers)[0])
  t.is(race.refreshes() - before, 2)
  t.is((await race.show(race.a)).json.access_token, next.json.access_token)
  return { answers, asked, slowestMs: Math.max(...answers.map(({ ms }) => ms)) }
}

/**
 * kill -9 of the gateway that has the row while the provider is asked, before or after that has rotated the token. The
 * other one finishes: with a new token, or, where the only good one died with the process, by saying that the user has
 * to log in again, who does.
 */
export async function killHolder(t: ExecutionContext, race: Race, where: Held) {
  const { there, a, b, user, refreshes, refresh, show, callers } = race
  const other = await there.bring(b, provider, `user-${randomUUID()}`)
  const before = refreshes()
  there.door.hold(where)
  const lost = Promise.allSettled(Array.from({ length: callers / 2 }, () => refresh(a)))
  await there.door.held(1)
  const waiting = Promise.all(Array.from({ length: callers / 2 }, () => refresh(b)))
  // They have come as far as the lock.
  await until(async () => (await there.sql(lockWaits)).length > 0, 'the other gateway waits for the lock')
  await comeThrough(b, user)
  there.door.hold(undefined)
  await a.kill()
  const since = performance.now()
  const answers = await waiting
  const ms = performance.now() - since
  t.deepEqual([...new Set((await lost).map(({ status }) => status))], ['rejected'])
  const asked = refreshes() - before
  t.is(asked, 2, JSON.stringify(answers.map(({ status, json }) => [status, json.code, json.updated_at])))
  if (where === 'answer') {
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
  return { answers, asked, ms }
}

/**
 * PostgreSQL is frozen until the provider has rotated: everybody is answered 503 in bounded time, and afterwards both
 * gateways serve the rotated token, though nothing could be written when it came.
 */
export async function freezeInMidCall(
  t: ExecutionContext,
  { there, a, b, refreshes, refresh, show, callers, delayMs }: Race,
  server: Pick<TestPostgres, 'freeze' | 'thaw'>,
  boundMs: number,
) {
  const { door } = there
  const asked = refreshes()
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
  const slowestMs = Math.max(...answers.map(({ ms }) => ms))
  t.deepEqual(
    [...new Set(answers.map(({ status, json }) => `${status} ${json.code}`))],
    ['503 database_unavailable'],
  )
  t.true(answers.every(({ headers }) => headers.has('retry-after')))
  t.true(slowestMs < atMost(boundMs), `the last answer came after ${slowestMs} ms`)
  t.is(refreshes() - asked, 1)
  const rotated = [...there.dialects.house.accessTokens.keys()].at(-1)
  server.thaw()
  const thawed = performance.now()
  const before: string[] = []
  for (const one of [a, b]) {
    await until(async () => {
      const { status, json } = await show(one)
      if (json.access_token !== rotated) before.push(`${status} ${json.code ?? json.state}`)
      return json.access_token === rotated
    }, 'the rotated token is served')
  }
  const recoveryMs = performance.now() - thawed
  t.is(refreshes() - asked, 1, 'nobody asked with the old token meanwhile')
  for (const one of [a, b]) t.like((await show(one)).json, { state: 'active', access_token: rotated })
  t.is((await refresh(b)).status, 200, 'its refresh token is the rotated one')
  return { answers, slowestMs, recoveryMs, before }
}
