import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import { createSealer } from '../src/persistence/sealer.ts'
import { inCalm } from './support/calm.ts'
import { ownPostgres, sharedPostgres } from './support/database.ts'
import { type Outage, outageSettings, seeOutage, tokenQuestions } from './support/database-outage.ts'
import { dumpDatabase, type Secret, secretsIn } from './support/dump.ts'
import { atMost } from './support/figures.ts'
import { rotateUnderLoad } from './support/key-rotations.ts'
import { freePorts } from './support/ports.ts'
import { noPostgres, type TestPostgres } from './support/postgres.ts'
import { startProcess } from './support/processes.ts'
import { clockSkew, type Replica, startReadyReplica, startReplica } from './support/replica.ts'
import { codeOf, type Reply } from './support/request.ts'
import { createExpiring, revokeEverywhere } from './support/skewed-clocks.ts'
import {
  clientSecret,
  encryptionKey,
  issuer,
  signingKeys,
  tokenNeighbourhood,
} from './support/token-neighbourhood.ts'
import { patienceMs, until } from './support/until.ts'

/** How many rounds of revocations: 20, or as many as ROUNDS says. */
const rounds = Number(process.env.ROUNDS ?? 20)
/** How many gateways start at once: 4, or as many as REPLICAS says. */
const replicaCount = Number(process.env.REPLICAS ?? 4)
/** How many times the signing key is changed: once, or as often as ROTATIONS says. */
const rotations = Number(process.env.ROTATIONS ?? 1)
/** How long the database stays frozen at least, in seconds: FREEZE. */
const freezeSeconds = Number(process.env.FREEZE ?? 4.5)

const freshDatabase = sharedPostgres()

/** Tests that load the machine, one after the other. */
const journey = (title: string, run: Run) => declare(test.serial, title, run)
/** Tests that mostly wait, side by side. */
const meanwhile = (title: string, run: Run) => declare(test, title, inCalm(run))

type Run = (t: ExecutionContext) => Promise<void>

/** Skipped where there is no PostgreSQL, unless REQUIRE_POSTGRES=1. */
function declare(declared: (title: string, run: Run) => void, title: string, run: Run): void {
  if (noPostgres === undefined) declared(title, run)
  else if (process.env.REQUIRE_POSTGRES === '1') test(title, (t) => t.fail(noPostgres))
  else test.skip(`${title} (SKIPPED, ${noPostgres})`, run)
}

/** What starts gateways on one new database, with a house behind them. */
const neighbourhood = async (t: ExecutionContext, databaseUrl?: string) =>
  tokenNeighbourhood(t, databaseUrl ?? (await freshDatabase(t)).url)

journey('what is revoked on one gateway is refused by the other within a second', async (t) => {
  const { options } = await neighbourhood(t)
  const [a, b] = await Promise.all([startReadyReplica(t, options()), startReadyReplica(t, options())])
  const kinds = ['access token', 'refresh token', 'subject'] as const
  const lags = { 'access token': [] as number[], 'refresh token': [] as number[], subject: [] as number[] }
  for (let round = 1; round <= rounds; round++) {
    for (const kind of kinds) {
      const subject = `user-${randomUUID()}`
      const pair = await a.create(subject)
      t.is((await b.ask('/api/house', pair.access_token)).status, 200)
      const body = {
        'access token': { token: pair.access_token },
        'refresh token': { token: pair.refresh_token },
        subject: { subject },
      }[kind]
      const reply = await a.post('/tokens/revoke', body)
      const revokedAt = performance.now()
      t.is(reply.status, 200)
      t.is((await a.ask('/api/house', pair.access_token)).status, 401, 'who answered knows at once')
      while ((await b.ask('/api/house', pair.access_token)).status !== 401) {
        if (performance.now() - revokedAt > patienceMs) return t.fail(`${kind}: still accepted`)
      }
      lags[kind].push(performance.now() - revokedAt)
    }
  }
  for (const kind of kinds) {
    const sorted = lags[kind].sort((one, other) => one - other)
    const [median, largest] = [sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!]
    t.log(
      `${kind}: ${sorted.length} rounds, lag median ${median.toFixed(1)} ms, largest ${largest.toFixed(1)} ms`,
    )
    t.true(largest <= atMost(1000), kind)
  }
})

journey('a revocation outlives kill -9 of either gateway, from the very first request on', async (t) => {
  const { options } = await neighbourhood(t)
  const replicas = await Promise.all([startReadyReplica(t, options()), startReadyReplica(t, options())])
  const ports = await freePorts(2)
  for (const victim of [1, 0] as const) {
    const port = ports[victim]
    const [a] = replicas as [Replica, Replica]
    const [access, session, good] = [await a.create(), await a.create(), await a.create()]
    for (const { access_token } of [access, session]) {
      t.is((await replicas[victim]!.ask('/api/house', access_token)).status, 200)
    }
    t.is((await a.post('/tokens/revoke', { token: access.access_token })).status, 200)
    t.is((await a.post('/tokens/revoke', { token: session.refresh_token })).status, 200)
    await replicas[victim]!.kill()

    const statuses: number[] = []
    const restarting = startReplica(t, options({ PORT: String(port) }))
    // Asked from before it listens on: nothing that is answered may be a 200.
    const first = `http://127.0.0.1:${port}/api/house`
    for (let refused = 0; refused < 2; ) {
      const { access_token } = refused === 0 ? access : session
      const reply = await fetch(first, { headers: { authorization: `Bearer ${access_token}` } }).catch(
        () => {},
      )
      await reply?.arrayBuffer()
      if (reply === undefined) await delay(2)
      else statuses.push(reply.status)
      if (reply?.status === 401) refused += 1
      if (reply?.status === 200) break
    }
    const restarted = await restarting
    t.deepEqual(
      statuses.filter((status) => status !== 503),
      [401, 401],
    )
    await until(restarted.isReady, 'it is ready again')
    t.is((await restarted.ask('/api/house', good.access_token)).status, 200)
    const again = await restarted.post('/tokens/refresh', { refresh_token: session.refresh_token })
    t.is(codeOf(again), 'invalid_grant')
    const name = victim === 1 ? 'B, that had to hear of it' : 'A, that had answered'
    t.log(`${name}: ${statuses.length - 2} replies 503 before the first 401, none 200`)
    replicas[victim] = restarted
  }
})

meanwhile('a database that freezes under load', (t) =>
  outage(t, (server) => ({ begin: server.freeze, end: server.thaw })),
)

meanwhile('a database that dies under load', (t) =>
  outage(t, (server) => ({ begin: server.kill, end: server.start })),
)

/** Open routes go on, guarded ones for as long as it was promised; afterwards all is well again soon. */
async function outage(t: ExecutionContext, of: (server: TestPostgres) => Outage) {
  const server = await ownPostgres(t)
  const { options } = await neighbourhood(t, await server.createDatabase())
  const times = { pollingMs: 500, stalenessMs: 3000, statementMs: 2000, connectMs: 1000 }
  const gateway = await startReadyReplica(t, options(outageSettings(times)))
  const seen = await seeOutage(t, {
    gateway,
    times,
    awayMs: freezeSeconds * 1000,
    outage: of(server),
    questions: tokenQuestions(gateway, await gateway.create()),
  })
  t.log(
    `away for ${seconds(seen.awayMs)}: guarded routes went on for ${seconds(seen.lastGoodMs)} ` +
      `(first 503 ${seconds(seen.firstRefusedMs)}), ${seen.refused} guarded replies 503, token endpoints answered ` +
      `503 within ${seconds(seen.slowestMs)}; afterwards guarded routes were back in ` +
      `${seconds(seen.guardedBackMs)}, token endpoints in ${seconds(seen.endpointsBackMs)}`,
  )
  t.log(`public routes: ${seen.open} requests, none failed; all in all ${seen.requests}`)
}

meanwhile('a gateway that starts before its database is alive, and ready soon after it', async (t) => {
  const server = await ownPostgres(t)
  const databaseUrl = await server.createDatabase()
  await server.kill()
  const { options } = await neighbourhood(t, databaseUrl)
  const gateway = await startReplica(t, options())
  t.is((await gateway.ask('/livez')).status, 200)
  t.is((await gateway.ask('/readyz')).status, 503)
  t.is((await gateway.ask('/api/house/open')).status, 200)
  const { access_token } = await foreignToken()
  const guarded = await gateway.ask('/api/house', access_token)
  t.is(guarded.status, 503)
  t.is(codeOf(guarded), 'token_state_unknown')
  t.truthy(guarded.headers['retry-after'])
  t.is((await gateway.ask('/api/house')).status, 401, 'nobody in particular is refused as ever')
  for (const [path, body] of [
    ['/tokens/create', { subject: 'user-1' }],
    ['/tokens/refresh', { refresh_token: randomBytes(32).toString('base64url') }],
    ['/tokens/revoke', { subject: 'user-1' }],
    ['/tokens/verify', { token: randomBytes(32).toString('base64url') }],
    ['/tokens/verify', { token: access_token }],
    ['/tokens/dummy', {}],
  ] as const) {
    const askedAt = performance.now()
    const reply = await gateway.post(path, body)
    t.is(reply.status, 503, path)
    t.truthy(reply.headers['retry-after'], path)
    t.true(performance.now() - askedAt < atMost(3000), path)
  }
  await server.start()
  const startedAt = performance.now()
  await until(gateway.isReady, 'it is ready')
  const readyMs = performance.now() - startedAt
  t.log(`ready ${seconds(readyMs)} after PostgreSQL appeared`)
  t.true(readyMs <= atMost(5000))
  t.is((await gateway.ask('/api/house', (await gateway.create()).access_token)).status, 200)
})

journey('neither the database nor what is printed shows a token, a key or a secret', async (t) => {
  const { url, options } = await neighbourhood(t)
  const [port = 0] = await freePorts(1)
  const password = `p${randomBytes(18).toString('base64url')}`
  const house = startProcess(t, 'services/auth/main.ts', {
    NODE_ENV: 'test',
    AUTH_PORT: '0',
    AUTH_HOST: '127.0.0.1',
    DATABASE_URL: url,
    PUBLIC_URL: issuer,
    GATEWAY_URL: `http://127.0.0.1:${port}`,
    AUTH_CLIENT_ID: 'journey',
    AUTH_CLIENT_SECRET: clientSecret,
  })
  const [, houseUrl] = await house.printed(/listening on (http:\S+)/)
  const paths = ['/api/users', '/api/user', '/api/user/me; auth=required']
  const services = { auth: { urls: [houseUrl], path: paths, strip: '/api', auth: 'none' } }
  const [a, b] = await Promise.all([
    startReadyReplica(t, { ...options({ PORT: String(port) }), services }),
    startReadyReplica(t, { ...options(), services }),
  ])
  const secrets: Secret[] = []
  const keep = (name: string, text: string, bytes?: Buffer) => {
    secrets.push({ name, text, ...(bytes && { bytes }) })
    return text
  }
  const keepPair = (name: string, reply: Reply) => {
    t.is(reply.status, 200, name)
    const pair = JSON.parse(reply.body)
    keep(`access token of ${name}`, pair.access_token)
    keep(`signature of ${name}`, pair.access_token.split('.')[2])
    keep(`refresh token of ${name}`, pair.refresh_token, Buffer.from(pair.refresh_token, 'base64url'))
    return pair
  }

  // A user's life.
  const email = `${randomUUID()}@example.com`
  let signedUp: Reply | undefined
  await until(async () => {
    signedUp = await a.post('/api/user/signup', { email, password, name: 'Ann' })
    return signedUp.status !== 503
  }, 'the house has its tables')
  t.is(signedUp!.status, 201)
  keep('password', password)
  const user = keepPair('login', await a.post('/api/user/login', { email, password }))
  t.is(
    (await a.post('/api/user/login', { email, password: keep('wrong password', `${password}x`) })).status,
    401,
  )
  t.is((await b.ask('/api/user/me', user.access_token)).status, 200)
  t.is((await b.ask(`/api/house?access_token=${user.access_token}`, user.access_token)).status, 200)
  // A client's.
  const first = keepPair(
    'create',
    await a.post('/tokens/create', { subject: 'user-1', claims: { team: 'blue' } }),
  )
  const second = keepPair('refresh', await b.post('/tokens/refresh', first))
  t.is((await a.post('/tokens/refresh', { refresh_token: first.refresh_token })).status, 400, 'reuse')
  t.is((await a.post('/tokens/refresh', { refresh_token: second.refresh_token })).status, 400)
  for (const token of [first.access_token, second.refresh_token, user.access_token, user.refresh_token]) {
    t.is((await b.post('/tokens/verify', { token })).status, 200)
    t.is((await b.post('/tokens/revoke', { token })).status, 200)
  }
  await a.post('/tokens/revoke', { subject: 'user-1' })
  const dummy = keepPair('dummy', await a.post('/tokens/dummy', {}))
  await a.post('/tokens/dummy', { access_token: keep('typed dummy', `typed-${randomUUID()}`) })
  // What people get wrong.
  const wrongSecret = keep('wrong client secret', randomBytes(24).toString('base64url'))
  const wrong = { authorization: `Basic ${Buffer.from(`journey:${wrongSecret}`).toString('base64')}` }
  for (const path of ['create', 'refresh', 'verify', 'revoke']) {
    await a.ask(`/tokens/${path}`, undefined, { method: 'POST', headers: wrong, body: user.refresh_token })
    await a.ask(`/tokens/${path}?token=${user.refresh_token}`, user.access_token, { method: 'POST' })
  }
  await a.post(`/tokens/create`, { subject: user.refresh_token, scope: `"${first.refresh_token}` })

  // What the gateways have from their settings, and what they made.
  keep('client secret', clientSecret)
  keep('encryption key', encryptionKey.secret, Buffer.from(encryptionKey.secret, 'base64'))
  keep('password of the database', new URL(url).password)
  const sealer = createSealer([encryptionKey])
  for (const row of await signingKeys(url)) {
    const place = `signing_keys.sealed_private_key:${row.kid}`
    const { d } = JSON.parse(await sealer.open(row.sealed_private_key, place))
    keep(`private key ${row.kid}`, d, Buffer.from(d, 'base64url'))
  }

  const dump = await dumpDatabase(url)
  for (const table of ['munjigi.sessions', 'munjigi.signing_keys', email]) t.true(dump.includes(table), table)
  t.deepEqual(secretsIn(dump, secrets), [])
  t.notRegex(dump, /"+d"+ *:/, 'a private member of a JWK')

  const printed = [a.process, b.process, house].map((process) => process.output()).join('\n')
  const isDummy = ({ name }: Secret) => /dummy$/.test(name) && !name.startsWith('refresh')
  t.regex(printed, /POST \/tokens\/create/)
  t.true(printed.includes(`dummy token: ${dummy.access_token}`))
  t.deepEqual(
    secretsIn(
      printed,
      secrets.filter((secret) => !isDummy(secret)),
    ),
    [],
  )
  // The search finds what there is to be found.
  for (const encoding of ['utf8', 'base64', 'base64url', 'hex'] as const) {
    const planted = Buffer.from(`xy${password}z`).toString(encoding)
    t.deepEqual(secretsIn(`{${planted}}`, secrets.slice(0, 1)), ['password'], encoding)
  }
  t.log(
    `${secrets.length} secrets looked for in ${dump.length} characters of dump, ${printed.length} of output`,
  )
})

journey('gateways that start together on an empty database share one active and one next key', async (t) => {
  const { url, options } = await neighbourhood(t)
  const startedAt = performance.now()
  const replicas = await Promise.all(
    Array.from({ length: replicaCount }, () => startReadyReplica(t, options({ DATABASE_POOL_SIZE: '2' }))),
  )
  t.log(`${replicaCount} gateways ready in ${seconds(performance.now() - startedAt)}`)
  const keys = await signingKeys(url)
  t.is(keys.filter((key) => key.activated_at !== null && key.retired_at === null).length, 1)
  t.is(keys.filter((key) => key.activated_at === null).length, 1)
  t.is(keys.length, 2)
  for (const from of replicas) {
    const { access_token } = await from.create()
    const replies = await Promise.all(replicas.map((to) => to.ask('/api/house', access_token)))
    t.deepEqual([...new Set(replies.map(({ status }) => status))], [200])
  }
  t.true(replicas.every(({ process }) => !/^\S*\s*(?:error|warn)/im.test(process.errors())))
})

journey('signing keys are rotated under load without one unexpected 401', async (t) => {
  const { url, options } = await neighbourhood(t)
  const replicas = await Promise.all([startReadyReplica(t, options()), startReadyReplica(t, options())])
  const uses = await rotateUnderLoad(t, { url, replicas, env: options().env, rotations })
  t.log(`rotations: ${rotations}; ${uses} uses of tokens, none refused`)
})

journey('clocks that are almost a minute wrong, either way, cost at most that minute', async (t) => {
  const { url, options } = await neighbourhood(t)
  const skewSeconds = 55
  const [right, ahead, behind] = await Promise.all(
    [0, skewSeconds, -skewSeconds].map((by) =>
      startReadyReplica(t, { ...options(), nodeOptions: clockSkew(by * 1000) }),
    ),
  )
  for (const lagMs of await revokeEverywhere(t, [right!, ahead!, behind!])) {
    t.log(`refused by all ${lagMs.toFixed(1)} ms after it was revoked`)
  }
  const expiring = await createExpiring(url)
  t.is((await right!.ask('/api/house', await expiring(-1))).status, 401)
  t.is((await ahead!.ask('/api/house', await expiring(60))).status, 200, 'a minute early at most')
  t.is((await behind!.ask('/api/house', await expiring(-60))).status, 401, 'a minute late at most')
  const overdue = await expiring(-20)
  t.is((await behind!.ask('/api/house', overdue)).status, 200, 'whose clock is behind cannot know')
  t.is((await behind!.post('/tokens/revoke', { token: overdue })).status, 200)
  t.is((await behind!.ask('/api/house', overdue)).status, 401, 'but it can be told')
})

/** A token in the right shape, of a gateway that this one knows nothing of. */
async function foreignToken() {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + 600
  const payload = { iss: issuer, aud: issuer, sub: 'user-1', client_id: 'journey', iat: exp - 900, exp }
  const header = { alg: 'ES256', typ: 'at+jwt', kid: randomBytes(32).toString('base64url') }
  const signature = randomBytes(64).toString('base64url')
  return { access_token: `${part(header)}.${part({ ...payload, jti: 'a', sid: 'b' })}.${signature}` }
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`
