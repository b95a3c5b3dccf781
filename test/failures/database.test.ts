import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { ownPostgres } from '../support/database.ts'
import {
  type OutageTimes,
  outageSettings,
  type SeenOutage,
  seeOutage,
  startLoad,
  tokenQuestions,
} from '../support/database-outage.ts'
import { journey } from '../support/journeys.ts'
import { type OAuthReplica, oauthNeighbourhood } from '../support/oauth-neighbourhood.ts'
import { startSlowLink } from '../support/slow-link.ts'
import { until } from '../support/until.ts'
import { row, scaled } from './row.ts'

const times: OutageTimes = { pollingMs: 300, stalenessMs: 2000, statementMs: 1500, connectMs: 1000 }
/** How long each outage lasts at least. */
const awayMs = scaled(2200, 30_000)
/** Slow, yet well within what the settings allow. */
const bearableMs = 50
/** What is said after that long is said to nobody. */
const unbearableMs = times.statementMs * 4
const provider = 'microsoft'

/** A gateway, and all that needs its database: the endpoints of tokens, the vault, and a route that injects from it. */
async function neighbourhood(t: ExecutionContext, databaseUrl: string) {
  const env = { ...outageSettings(times), LOG_LEVEL: 'info' }
  const there = await oauthNeighbourhood(t, { databaseUrl, env })
  const gateway: OAuthReplica = await there.start()
  const subject = `user-${randomUUID()}`
  const { id } = (await there.bring(gateway, provider, subject)).json
  const pair = await gateway.create(subject)
  const asked = async (method: string, path: string, body?: object) => {
    const { status, headers } = await gateway.sendAsClient(method, path, body)
    return { status, headers: Object.fromEntries(headers) }
  }
  const questions = async () => ({
    ...tokenQuestions(gateway, await gateway.create()),
    'GET /oauth': () => asked('GET', `/oauth?subject=${subject}`),
    'GET /oauth/:id': () => asked('GET', `/oauth/${id}?subject=${subject}`),
    'POST /oauth/:id/refresh': () => asked('POST', `/oauth/${id}/refresh`, { subject }),
    inject: () => gateway.ask(`/api/with/${provider}`, pair.access_token),
  })
  return { gateway, questions }
}

const told = (what: string, seen: SeenOutage) =>
  `${what} for ${seconds(seen.awayMs)}: 0 of ${seen.open} open requests failed, guarded ones went on for ` +
  `${seconds(seen.lastGoodMs)} (bound ${seconds(times.stalenessMs)}), then 503; tokens and vault 503 within ` +
  `${seconds(seen.slowestMs)}; all back ${seconds(seen.endpointsBackMs)} after it`

/** Frozen; then killed, and replaced by another process on its port with its data, as a failover does. */
async function frozenAndKilled(t: ExecutionContext): Promise<readonly string[]> {
  const server = await ownPostgres(t)
  const { gateway, questions } = await neighbourhood(t, await server.createDatabase())
  const figures: string[] = []
  for (const [what, begin, end] of [
    ['frozen', server.freeze, server.thaw],
    ['killed and replaced', server.kill, server.start],
  ] as const) {
    const outage = { begin, end }
    const seen = await seeOutage(t, { gateway, times, awayMs, outage, questions: await questions() })
    figures.push(told(what, seen))
  }
  return figures
}

/** First so slow that everything can be had, then so slow that nothing can. */
async function slow(t: ExecutionContext): Promise<readonly string[]> {
  const server = await ownPostgres(t)
  const url = new URL(await server.createDatabase())
  const link = await startSlowLink(t, Number(url.port))
  url.port = String(link.port)
  const { gateway, questions } = await neighbourhood(t, url.href)

  const load = startLoad(gateway, (await gateway.create()).access_token)
  t.teardown(load.stop)
  const asked = Object.entries(await questions())
  link.latencyMs = bearableMs
  const since = performance.now()
  let slowestMs = 0
  for (const [name, ask] of asked) {
    const askedAt = performance.now()
    t.is((await ask()).status, 200, name)
    slowestMs = Math.max(slowestMs, performance.now() - askedAt)
  }
  t.true(slowestMs > bearableMs, 'it was slow')
  await delay(scaled(0, 10_000))
  await until(() => load.replies.length > 200, 'there is load')
  await load.stop()
  t.deepEqual(
    load.replies.filter(({ status }) => status !== 200),
    [],
  )
  const bearable =
    `${bearableMs} ms slow for ${seconds(performance.now() - since)}: 0 of ${load.replies.length} requests failed, ` +
    `guarded ones among them; tokens and vault answered within ${seconds(slowestMs)}`

  const outage = {
    begin: () => {
      link.latencyMs = unbearableMs
    },
    end: () => {
      link.latencyMs = 0
    },
  }
  const seen = await seeOutage(t, { gateway, times, awayMs, outage, questions: await questions() })
  return [bearable, told(`${seconds(unbearableMs)} slow`, seen)]
}

row(
  'postgres-away',
  async (t, see) => {
    for (const figures of await Promise.all([frozenAndKilled(t), slow(t)]))
      for (const one of figures) see(one)
  },
  journey,
)

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`
