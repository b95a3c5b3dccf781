import { randomUUID } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import { freePorts } from './support/consul.ts'
import { ownPostgres } from './support/database.ts'
import { dialectNames, type Misbehaviour } from './support/dialects.ts'
import { dumpDatabase, secretsIn } from './support/dump.ts'
import { journey } from './support/journeys.ts'
import type { Answer } from './support/oauth-gateway.ts'
import {
  type OAuthNeighbourhood,
  type OAuthReplica,
  oauthNeighbourhood,
} from './support/oauth-neighbourhood.ts'
import { callbackTricks } from './support/oauth-tricks.ts'
import type { TestPostgres } from './support/postgres.ts'
import { startProcess, type TestProcess } from './support/processes.ts'
import { until } from './support/until.ts'

/** How long a provider that hangs is waited for, in milliseconds: PROVIDER_TIMEOUT. */
const timeoutMs = Number(process.env.PROVIDER_TIMEOUT ?? 1000)
const slowMs = 30_000

const misbehaviours: readonly Misbehaviour[] = [
  ...(['html', 'truncated', 'huge', 'redirect', 'content-type', 'error-200', 'no-token'] as const),
  ...(['wrong-types', 'list', 'reset', 'stall', 'hang'] as const),
  { status: 500 },
  { status: 429 },
  { status: 400 },
  { status: 400, body: { error: 'invalid_grant', error_description: 'not any more' } },
  { status: 401, body: 'no' },
]
const named = (how: Misbehaviour) => (typeof how === 'string' ? how : JSON.stringify(how))

/** Everything that a gateway goes through in this file, and what is known of it. */
interface Scene {
  readonly t: ExecutionContext
  readonly there: OAuthNeighbourhood
  readonly server: TestPostgres
  readonly processes: TestProcess[]
}

journey('whatever goes wrong, no line and no error reply shows a secret', async (t) => {
  t.timeout(4 * slowMs)
  const server = await ownPostgres(t)
  const databaseUrl = await server.createDatabase()
  const env = {
    OAUTH_PROVIDER_TIMEOUT: `${timeoutMs}ms`,
    DATABASE_STATEMENT_TIMEOUT: '2s',
    DATABASE_CONNECT_TIMEOUT: '2s',
  }
  const there = await oauthNeighbourhood(t, { databaseUrl, env })
  const scene: Scene = { t, there, server, processes: [] }
  const began = performance.now()
  const log = (what: string) => t.log(`${((performance.now() - began) / 1000).toFixed(1)} s: ${what}`)
  const start = async (given: Readonly<Record<string, string>> = {}) => {
    const gateway = await there.start(given)
    scene.processes.push(gateway.process)
    return gateway
  }
  const [a, b] = (await Promise.all([start(), start()])) as [OAuthReplica, OAuthReplica]

  await keysMisbehave(scene, b)
  for (const how of misbehaviours) await providersMisbehave(scene, a, how)
  log('the providers have misbehaved')
  await refusedLogins(scene, a)
  await unreadableRows(scene, a)
  log('logins were refused, rows unreadable')
  await databaseAway(scene, a)
  log('the database was away')
  await crashes(scene, a, b)
  await wrongSettings(scene)
  log('processes have crashed, and have not started')

  const everything = await there.secrets()
  const planted = { name: 'planted', text: randomUUID() }
  const last = await start()
  await last.send('GET', `/api/house/open/${planted.text}`)
  await last.process.printed(new RegExp(planted.text))
  const printed = scene.processes.map((process) => process.output()).join('\n')
  t.deepEqual(secretsIn(printed, [...everything, planted]), ['planted'])
  for (const word of ['a token could not be refreshed', 'cannot be read', 'GET /oauth/google/callback']) {
    t.true(printed.includes(word), word)
  }
  const errors = there.replies.filter(({ status }) => status >= 400 || status === 202)
  const shown = errors.map(({ text, headers }) => JSON.stringify([text, ...headers])).join('\n')
  // The front end's own state is its to have again.
  const others = everything.filter(({ name }) => name !== 'state of a front end')
  t.deepEqual(secretsIn(`${shown} ${planted.text}`, [...others, planted]), ['planted'])
  const dump = await dumpDatabase(databaseUrl)
  t.true(dump.includes('munjigi.login_attempts'))
  t.deepEqual(secretsIn(`${dump} ${planted.text}`, [...others, planted]), ['planted'])
  log(
    `${everything.length} secrets looked for in ${printed.length} characters of ${scene.processes.length} processes ` +
      `and ${errors.length} error replies, and in ${dump.length} of the database`,
  )
  const codes = errors.map(({ status, json }) => `${status} ${json?.code ?? json?.revocation ?? 'page'}`)
  const distinct = [...new Set(codes)].sort()
  t.log(distinct.map((code) => `${codes.filter((one) => one === code).length} × ${code}`).join(', '))
  t.deepEqual(
    distinct.filter((code) => code.includes('internal_error')),
    [],
  )
})

/** While they are not known yet. */
async function keysMisbehave({ t, there }: Scene, gateway: OAuthReplica): Promise<void> {
  const { dialects, bring } = there
  const providers = ['google', 'microsoft']
  // Keys are keys, whatever else is beside them.
  for (const how of misbehaviours.filter((one) => one !== 'error-200')) {
    for (const one of providers) dialects.misbehave(`${one}.jwks`, how)
    const replies = await Promise.all(providers.map((one) => bring(gateway, one, randomUUID())))
    for (const { status } of replies) t.true(status >= 500, `keys: ${named(how)}: ${status}`)
  }
  for (const one of providers) dialects.misbehave(`${one}.jwks`, undefined)
}

/** At the exchange, the refresh, the profile, what else is asked then, and the revocation. */
async function providersMisbehave({ t, there }: Scene, gateway: OAuthReplica, how: Misbehaviour) {
  const { dialects, bring, expire, keep, sql } = there
  const failed = (where: string, { status, text }: Answer) => {
    // A reply that can be used, for all that it is odd, is none of these.
    t.true(status >= 400 && status !== 500, `${where}: ${named(how)}: ${status} ${text}`)
  }
  await Promise.all(
    dialectNames.map(async (provider) => {
      const subject = `user-${randomUUID()}`
      const [kept, other] = await Promise.all([
        connected(there, gateway, provider, subject),
        connected(there, gateway, provider, `${subject}-2`),
      ])
      const path = `/oauth/${kept}`
      const { access_token: token } = await gateway.create(subject)
      keep('access token of the gateway', token)

      const callback = async () => {
        const state = keep('state of a front end', randomUUID())
        const away = await there.begin(gateway, provider, { state })
        const back = await there.sayYes(away.location)
        keep('code', back.searchParams.get('code')!)
        return there.comeBack(gateway, provider, back.search, away.cookie)
      }
      await expire([kept])
      for (const endpoint of ['token', 'revoke']) dialects.misbehave(`${provider}.${endpoint}`, how)
      const [brought, cameBack, refreshed] = await Promise.all([
        bring(gateway, provider, subject),
        callback(),
        gateway.send('POST', `${path}/refresh`, { token }),
        gateway.sendAsClient('DELETE', `/oauth/${other}?subject=${subject}-2`),
      ])
      failed(`${provider} exchange`, brought)
      failed(`${provider} callback`, cameBack)
      failed(`${provider} refresh`, refreshed)
      const inject = await gateway.send('GET', `/api/with/${provider}`, { token })
      failed(`${provider} inject`, inject)
      await gateway.send('GET', path, { token })
      await gateway.send('GET', '/oauth', { token })
      dialects.misbehave(`${provider}.token`, undefined)

      for (const endpoint of ['profile', provider === 'github' ? 'emails' : 'debug']) {
        if (endpoint === 'debug' && provider !== 'facebook') continue
        dialects.misbehave(`${provider}.${endpoint}`, how)
        await Promise.all([bring(gateway, provider, `${subject}-3`), callback()])
        dialects.misbehave(`${provider}.${endpoint}`, undefined)
      }
      dialects.misbehave(`${provider}.revoke`, undefined)
    }),
  )
  await sql(`update munjigi.connections set state = 'active'`)
}

/** Gives its id. A provider that is not waited for long may be too slow on a busy machine. */
async function connected(
  there: OAuthNeighbourhood,
  gateway: OAuthReplica,
  provider: string,
  subject: string,
) {
  let id = ''
  await until(
    async () => {
      const { status, json } = await there.bring(gateway, provider, subject)
      if (status === 201) id = json.id
      return status === 201
    },
    `${provider} is connected`,
    slowMs,
  )
  return id
}

/** Callbacks that none may get through, codes that are not good, and strangers. */
async function refusedLogins({ t, there }: Scene, gateway: OAuthReplica): Promise<void> {
  const { begin, sayYes, comeBack, keep } = there
  const complete = (body: object, token?: string) =>
    gateway.send('POST', '/oauth/login/complete', { body, token })
  for (const trick of Object.values(callbackTricks)) {
    const [away, other] = [await begin(gateway, 'github'), await begin(gateway, 'github')]
    const back = await sayYes(away.location)
    keep('code', back.searchParams.get('code')!)
    const { search, cookie = away.cookie } = trick(back, away, other)
    t.is((await comeBack(gateway, 'github', search, cookie || undefined)).status, 400)
  }
  for (const spoil of [
    { code_verifier: undefined },
    { code_verifier: 'x'.repeat(43) },
    { same_browser: true },
    { connect: true },
  ]) {
    const away = await begin(gateway, 'google')
    const back = await sayYes(away.location)
    keep('code', back.searchParams.get('code')!)
    const returned = await comeBack(gateway, 'google', back.search, away.cookie)
    const code = new URL(returned.headers.get('location')!).searchParams.get('code')!
    keep('login code', code)
    const body = { code, code_verifier: away.verifier, ...spoil }
    t.true([400, 401].includes((await complete(body)).status))
    // What is put where it does not belong.
    await complete({ ...body, unknown: code })
    await complete({ code: { code } })
    await gateway.send('GET', `/oauth/login/complete?code=${code}`)
    await gateway.send('GET', `/oauth/${randomUUID()}?subject=${code}&${code}=1`)
    await gateway.send('GET', '/oauth', { token: code })
    await gateway.send('POST', '/oauth', { token: away.verifier, body: { code, provider: code } })
  }
  const user = await there.logIn([gateway], 'naver')
  for (const misplaced of [user.refreshToken, user.cookie]) {
    t.is((await gateway.send('GET', '/oauth', { token: misplaced })).status, 401)
  }
  await gateway.send('GET', `/oauth?after=${user.refreshToken}`, { token: user.token })
  await gateway.send('POST', '/oauth', {
    token: user.token,
    body: { code: user.refreshToken, provider: 'x' },
  })
  const { codeOf } = there
  const code = await codeOf('google')
  for (const spoil of [{ redirect_uri: code.code }, { provider: code.code }, { nonce: 'other' }]) {
    t.true(
      (await gateway.send('POST', '/oauth', { token: user.token, body: { ...code, ...spoil } })).status >=
        400,
    )
  }
}

/** Two rows' ciphertexts are swapped, one is cut off, one is sealed under a key that is gone. */
async function unreadableRows({ t, there }: Scene, gateway: OAuthReplica): Promise<void> {
  const { sql } = there
  const subject = `user-${randomUUID()}`
  const ids: string[] = []
  for (const provider of ['google', 'github', 'naver']) {
    ids.push(await connected(there, gateway, provider, subject))
  }
  const set = (id: string, sealed: string) =>
    sql(`update munjigi.connections set sealed_access_token = ${sealed} where id = '${id}'`)
  await sql(
    `update munjigi.connections set sealed_access_token = sealed_refresh_token where id = '${ids[0]}'`,
  )
  await set(ids[1]!, 'left(sealed_access_token, 40)')
  await set(ids[2]!, `'{}'`)
  for (const id of ids) {
    const shown = await gateway.sendAsClient('GET', `/oauth/${id}?subject=${subject}`)
    t.is(shown.json.code, 'vault_unreadable')
    const refreshed = await gateway.sendAsClient('POST', `/oauth/${id}/refresh`, { subject })
    t.is(refreshed.json.code, 'vault_unreadable')
    await gateway.sendAsClient('DELETE', `/oauth/${id}?subject=${subject}`)
  }
}

/** It freezes while everybody wants something, and dies while a provider rotates. */
async function databaseAway({ t, there, server }: Scene, gateway: OAuthReplica): Promise<void> {
  const { begin, sayYes, comeBack, keep, door } = there
  const user = await there.logIn([gateway], 'microsoft')
  const kakao = await connected(there, gateway, 'kakao', user.subject)
  const away = await begin(gateway, 'google')
  const back = await sayYes(away.location)
  keep('code', back.searchParams.get('code')!)
  const code = await there.codeOf('google')
  const token = { token: user.token }
  server.freeze()
  const replies = await Promise.all([
    comeBack(gateway, 'google', back.search, away.cookie),
    gateway.send('GET', '/oauth/kakao/login'),
    gateway.send('GET', '/oauth', token),
    gateway.send('POST', `/oauth/${user.id}/refresh`, token),
    gateway.send('DELETE', `/oauth/${kakao}`, token),
    gateway.send('POST', '/oauth', { ...token, body: code }),
    gateway.send('GET', '/api/with/microsoft', token),
    gateway.send('POST', '/oauth/login/complete', { body: { code: user.refreshToken } }),
  ])
  server.thaw()
  t.deepEqual([...new Set(replies.map(({ status }) => status))], [503])
  await until(gateway.isReady, 'it is ready again', slowMs)
  const shown = () => gateway.send('GET', `/oauth/${user.id}`, token)
  await until(async () => (await shown()).status === 200, 'the database is back', slowMs)

  await there.expire([user.id])
  door.hold('answer')
  const refreshing = gateway.send('POST', `/oauth/${user.id}/refresh`, token)
  await door.held(1)
  await server.kill()
  door.hold(undefined)
  door.release()
  t.is((await refreshing).status, 503)
  await server.start()
  await until(async () => (await shown()).json.access_token !== undefined, 'the token is served', slowMs)
}

/** One is killed in mid-call; the other is told to stop while a rotated token waits for a database that is away. */
async function crashes({ t, there, server, processes }: Scene, a: OAuthReplica, b: OAuthReplica) {
  const { door } = there
  await until(b.isReady, 'it is ready again', slowMs)
  const user = await there.logIn([b], 'microsoft')
  const refresh = (gateway: OAuthReplica) =>
    gateway.send('POST', `/oauth/${user.id}/refresh`, { token: user.token })
  door.hold('question')
  const lost = t.throwsAsync(refresh(b))
  await door.held(1)
  door.hold(undefined)
  await b.kill()
  await lost
  door.hold('answer')
  const refreshing = refresh(a)
  await door.held(2)
  await server.kill()
  door.hold(undefined)
  door.release()
  t.is((await refreshing).status, 503)
  a.process.kill('SIGTERM')
  await a.process.exited
  t.regex(a.process.output(), /refreshed tokens are lost/)
  const rewrap = startProcess(t, 'src/munjigi.ts', there.env, { args: ['keys', 'rewrap'] })
  processes.push(rewrap)
  t.not((await rewrap.exited).code, 0)
  await server.start()
  const other = { ...there.env, ENCRYPTION_KEYS: `other:${Buffer.alloc(32, 7).toString('base64')}` }
  const without = startProcess(t, 'src/munjigi.ts', other, { args: ['keys', 'rewrap'] })
  processes.push(without)
  t.not((await without.exited).code, 0)
}

/** Each has a secret in it, and none is good. */
async function wrongSettings({ t, there, processes }: Scene): Promise<void> {
  const [port = 0] = await freePorts(1)
  const secret = () => there.keep('in a setting that is wrong', `s-${randomUUID()}`)
  const wrong: Readonly<Record<string, string>>[] = [
    { GOOGLE_CLIENT_SECRET: `${secret()} ä` },
    { KAKAO_CLIENT_SECRET: `${secret()}\n`, KAKAO_TOKEN_URL: 'nowhere' },
    { ENCRYPTION_KEYS: `key:${secret()}` },
    { GATEWAY_CLIENTS: secret() },
    { DATABASE_URL: `mysql://user:${secret()}@127.0.0.1/name` },
    { OIDC_PROVIDERS: 'corp', OIDC_CORP_ISSUER: 'nowhere', OIDC_CORP_CLIENT_SECRET: `${secret()} ä` },
  ]
  await Promise.all(
    wrong.map(async (one) => {
      const env = { ...there.env, NODE_ENV: 'production', HOST: '127.0.0.1', PORT: String(port), ...one }
      const gateway = startProcess(t, 'src/main.ts', env)
      processes.push(gateway)
      t.not((await gateway.exited).code, 0, Object.keys(one).join())
    }),
  )
}
