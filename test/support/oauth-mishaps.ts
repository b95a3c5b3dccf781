import { randomUUID } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import type { OAuthNeighbourhood, OAuthReplica } from './oauth-neighbourhood.ts'
import { callbackTricks } from './oauth-tricks.ts'
import { freePorts } from './ports.ts'
import type { TestPostgres } from './postgres.ts'
import { startProcess, type TestProcess } from './processes.ts'
import { until } from './until.ts'

/** Everything that a gateway goes through in this file, and what is known of it. */
export interface Scene {
  readonly t: ExecutionContext
  readonly there: OAuthNeighbourhood
  readonly server: TestPostgres
  readonly processes: TestProcess[]
}

/** Gives its id. A provider that is not waited for long may be too slow on a busy machine. */
export async function connected(
  there: OAuthNeighbourhood,
  gateway: OAuthReplica,
  provider: string,
  subject: string,
) {
  let id = ''
  await until(async () => {
    const { status, json } = await there.bring(gateway, provider, subject)
    if (status === 201) id = json.id
    return status === 201
  }, `${provider} is connected`)
  return id
}

/** Callbacks that none may get through, codes that are not good, and strangers. */
export async function refusedLogins({ t, there }: Scene, gateway: OAuthReplica): Promise<void> {
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
export async function unreadableRows({ t, there }: Scene, gateway: OAuthReplica): Promise<void> {
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
export async function databaseAway({ t, there, server }: Scene, gateway: OAuthReplica): Promise<void> {
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
  await until(gateway.isReady, 'it is ready again')
  const shown = () => gateway.send('GET', `/oauth/${user.id}`, token)
  await until(async () => (await shown()).status === 200, 'the database is back')

  await there.expire([user.id])
  door.hold('answer')
  const refreshing = gateway.send('POST', `/oauth/${user.id}/refresh`, token)
  await door.held(1)
  await server.kill()
  door.hold(undefined)
  door.release()
  t.is((await refreshing).status, 503)
  await server.start()
  await until(async () => (await shown()).json.access_token !== undefined, 'the token is served')
}

/** One is killed in mid-call; the other is told to stop while a rotated token waits for a database that is away. */
export async function crashes({ t, there, server, processes }: Scene, a: OAuthReplica, b: OAuthReplica) {
  const { door } = there
  await until(b.isReady, 'it is ready again')
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
export async function wrongSettings({ t, there, processes }: Scene): Promise<void> {
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
