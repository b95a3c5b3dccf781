import type { ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { connectReplySchema, loginReplySchema } from '../../src/oauth/login/schemas-login.ts'
import { hashOf } from '../../src/tokens/secrets.ts'
import { eachDatabase } from '../support/database.ts'
import {
  account,
  challengeOf,
  type LoginServer,
  newVerifier,
  startLoginServer,
} from '../support/login-server.ts'
import { asAuth, issuer, shared, startTokenParts } from '../support/token-server.ts'

const count = async ({ database }: Pick<LoginServer, 'database'>, table: string, providerUserId: string) => {
  const rows = await database.run((em) =>
    em.execute<{ count: number }[]>(
      `select count(*)::int as count from munjigi.${table} where provider_user_id = ?`,
      [providerUserId],
    ),
  )
  return rows[0]!.count
}

eachDatabase(({ name, test, fresh }) => {
  const parts = shared(async (t) => startTokenParts(t, await fresh(t)))
  const serve = async (t: ExecutionContext, linkVerifiedEmail: readonly string[] = []) =>
    startLoginServer(t, await parts(), { linkVerifiedEmail, shared: name === 'PostgreSQL' })

  test('a code becomes a session of the user, who is new', async (t) => {
    const server = await serve(t)
    const { complete, login, google, verifier } = server
    const profile = account({ name: 'Ada' })
    const { status, headers, json } = await complete({ code: await login(google, profile) })
    t.is(status, 200)
    t.is(headers['cache-control'], 'no-store')
    loginReplySchema.strict().parse(json)
    t.like(json, { token_type: 'Bearer', scope: 'profile', provider: 'google', name: 'Ada' })
    t.regex(json.subject, /^[0-9a-f-]{36}$/)
    const { claims } = await verifier.verify(json.access_token)
    t.like(claims, { iss: issuer, sub: json.subject, client_id: 'munjigi', scope: 'profile' })
    t.is(await count(server, 'identities', profile.id), 1)
    t.is(await count(server, 'connections', profile.id), 1)
  })

  test('who has logged in before is the same user, with the same connection', async (t) => {
    const server = await serve(t)
    const profile = account()
    const first = (await server.complete({ code: await server.login(server.google, profile) })).json
    const second = (await server.complete({ code: await server.login(server.google, profile) })).json
    t.is(second.subject, first.subject)
    t.is(second.connection_id, first.connection_id)
    t.not(second.access_token, first.access_token)
  })

  test('two first logins of one account at once are one user', async (t) => {
    const server = await serve(t)
    const profile = account()
    const codes = [await server.login(server.google, profile), await server.login(server.google, profile)]
    const [one, other] = await Promise.all(codes.map((code) => server.complete({ code })))
    t.deepEqual([one!.status, other!.status], [200, 200])
    t.is(one!.json.subject, other!.json.subject)
    t.is(await count(server, 'connections', profile.id), 1)
  })

  test('a code is good once: of two who bring it at once one gets tokens', async (t) => {
    const server = await serve(t)
    const code = await server.login(server.google, account())
    const replies = await Promise.all([1, 2, 3, 4].map(() => server.complete({ code })))
    t.deepEqual(replies.map(({ status }) => status).sort(), [200, 400, 400, 400])
    const late = await server.complete({ code })
    t.like(late.json, { code: 'invalid_grant', error: 'invalid_grant' })
  })

  test('an unknown, a malformed and an expired code are all the same', async (t) => {
    const server = await serve(t)
    const code = await server.login(server.google, account())
    await server.database.run((em) =>
      em.execute(`update munjigi.login_codes set expires_at = now() - interval '1 second' where hash = ?`, [
        hashOf(code),
      ]),
    )
    const details = new Set()
    for (const bad of [code, 'x'.repeat(43), 'x', `${code}\0`, 'x'.repeat(5000)]) {
      const { status, json } = await server.complete({ code: bad })
      t.is(status, 400)
      t.is(json.error, 'invalid_grant')
      details.add(json.detail)
    }
    t.is(details.size, 1)
  })

  test('a login that was begun with a challenge ends with its verifier', async (t) => {
    const server = await serve(t)
    const verifier = newVerifier()
    const code = await server.login(server.google, account(), { code_challenge: challengeOf(verifier) })
    t.is((await server.complete({ code, code_verifier: verifier })).status, 200)
  })

  test('a missing or another verifier is refused, and spends the code', async (t) => {
    const server = await serve(t)
    for (const wrong of [undefined, newVerifier(), 'x', 'challenge']) {
      const verifier = newVerifier()
      const challenge = challengeOf(verifier)
      const code = await server.login(server.google, account(), { code_challenge: challenge })
      const code_verifier = wrong === 'challenge' ? challenge : wrong
      const { status, json } = await server.complete({ code, code_verifier })
      t.is(status, 400)
      t.is(json.error, 'invalid_grant')
      t.is((await server.complete({ code, code_verifier: verifier })).status, 400)
    }
  })

  test('a verifier for a login that had no challenge is refused, and spends the code', async (t) => {
    const server = await serve(t)
    const code = await server.login(server.google, account())
    t.is((await server.complete({ code, code_verifier: newVerifier() })).json.error, 'invalid_grant')
    t.is((await server.complete({ code })).status, 400)
  })

  test('where the account cannot be stored the code is still good', async (t) => {
    const server = await serve(t)
    const profile = account()
    const code = await server.login(server.google, profile)
    const alter = (change: string) =>
      server.database.run((em) => em.execute(`alter table munjigi.connections ${change}`))
    await alter(`add constraint not_this_one check (provider_user_id <> '${profile.id}')`)
    const failed = await server.complete({ code })
    await alter('drop constraint not_this_one')
    t.is(await count(server, 'identities', profile.id), 0)
    t.is(failed.status, 500)
    t.is((await server.complete({ code })).status, 200)
  })

  test('where the session cannot be begun the code is still good', async (t) => {
    const server = await serve(t)
    const profile = account()
    const { subject } = (await server.complete({ code: await server.login(server.google, profile) })).json
    const code = await server.login(server.google, profile)
    const alter = (change: string) =>
      server.database.run((em) => em.execute(`alter table munjigi.sessions ${change}`))
    await alter(`add constraint nobody_else check (subject <> '${subject}') not valid`)
    const failed = await server.complete({ code })
    await alter('drop constraint nobody_else')
    t.is(failed.status, 500)
    t.is((await server.complete({ code })).json.subject, subject)
  })

  test('a user’s own token adds an account to that user: no session, no way to log in', async (t) => {
    const server = await serve(t)
    const user = (await server.complete({ code: await server.login(server.google, account()) })).json
    const profile = account()
    const verifier = newVerifier()
    const code = await server.login(server.kakao, profile, { code_challenge: challengeOf(verifier) })
    const body = { code, code_verifier: verifier, connect: true }
    const bearer = { authorization: `Bearer ${user.access_token}` }
    const { status, json } = await server.complete(body, bearer)
    t.is(status, 201)
    connectReplySchema.strict().parse(json)
    t.like(json, { provider: 'kakao', subject: user.subject })
    t.is(await count(server, 'identities', profile.id), 0)
    t.is(await count(server, 'connections', profile.id), 1)
    t.is((await server.complete(body, bearer)).status, 400)
    const logged = (await server.complete({ code: await server.login(server.kakao, profile) })).json
    t.not(logged.subject, user.subject)
  })

  test('without a user’s token nothing is connected, and the code is still good', async (t) => {
    const server = await serve(t)
    const user = (await server.complete({ code: await server.login(server.google, account()) })).json
    const verifier = newVerifier()
    const code = await server.login(server.kakao, account(), { code_challenge: challengeOf(verifier) })
    const body = { code, code_verifier: verifier, connect: true }
    const strangers: Readonly<Record<string, string>>[] = [
      {},
      { authorization: 'Bearer x' },
      { authorization: `Bearer ${user.access_token}x` },
      { authorization: asAuth.Authorization },
    ]
    for (const headers of strangers) t.is((await server.complete(body, headers)).status, 401)
    const bearer = { authorization: `Bearer ${user.access_token}` }
    t.is((await server.complete(body, bearer)).status, 201)
  })

  test('connect asks who began the login: a code that anybody could have sent here is refused, and spent', async (t) => {
    const server = await serve(t)
    const user = (await server.complete({ code: await server.login(server.google, account()) })).json
    const bearer = { authorization: `Bearer ${user.access_token}` }
    const profile = account()
    const { code, cookie } = await server.loginInBrowser(server.kakao, profile)
    t.is((await server.complete({ code, connect: true }, bearer)).json.error, 'invalid_grant')
    t.is((await server.complete({ code }, { cookie })).status, 400)
    t.is(await count(server, 'connections', profile.id), 0)
    const again = await server.loginInBrowser(server.kakao, profile)
    const body = { code: again.code, connect: true, same_browser: true }
    t.is((await server.complete(body, { ...bearer, cookie: again.cookie })).status, 201)
  })

  test('a page can ask that the code be of the very browser it is in', async (t) => {
    const server = await serve(t)
    const other = await server.start()
    for (const cookie of [undefined, other.cookie]) {
      const { code, cookie: own } = await server.loginInBrowser(server.google, account())
      const body = { code, same_browser: true }
      t.is((await server.complete(body, cookie === undefined ? {} : { cookie })).json.error, 'invalid_grant')
      t.is((await server.complete(body, { cookie: own })).status, 400, 'it is spent')
    }
    const { code, cookie } = await server.loginInBrowser(server.google, account())
    t.is((await server.complete({ code, same_browser: true }, { cookie })).status, 200)
  })

  test('connect asks for the verifier as well', async (t) => {
    const server = await serve(t)
    const user = (await server.complete({ code: await server.login(server.google, account()) })).json
    const code = await server.login(server.kakao, account(), { code_challenge: challengeOf(newVerifier()) })
    const bearer = { authorization: `Bearer ${user.access_token}` }
    t.is((await server.complete({ code, connect: true }, bearer)).json.error, 'invalid_grant')
  })

  test('the same verified address at two providers is two users, unless a setting says so', async (t) => {
    const server = await serve(t)
    const email = `${account().id}@example.com`
    const one = await server.login(server.google, { email, emailVerified: true })
    const other = await server.login(server.kakao, { email, emailVerified: true })
    const subjects = [
      (await server.complete({ code: one })).json.subject,
      (await server.complete({ code: other })).json.subject,
    ]
    t.is(new Set(subjects).size, 2)
  })

  test('LINK_VERIFIED_EMAIL makes them one, whatever the case of the address, and for good', async (t) => {
    const server = await serve(t, ['google', 'kakao'])
    const local = account().id
    const google = { email: `${local}@Example.com`, emailVerified: true }
    const kakao = account({ email: `${local.toUpperCase()}@example.COM`, emailVerified: true })
    const first = (await server.complete({ code: await server.login(server.google, google) })).json
    const second = (await server.complete({ code: await server.login(server.kakao, kakao) })).json
    t.is(second.subject, first.subject)
    t.not(second.connection_id, first.connection_id)
    const renamed = { ...kakao, email: 'another@example.com', emailVerified: false }
    t.is(
      (await server.complete({ code: await server.login(server.kakao, renamed) })).json.subject,
      first.subject,
    )
  })

  test('nothing is linked where two users have the address at the other provider', async (t) => {
    const server = await serve(t, ['google', 'kakao'])
    const profile = { email: `${account().id}@example.com`, emailVerified: true }
    const subjects = []
    for (const provider of [server.google, server.google, server.kakao]) {
      const { json } = await server.complete({ code: await server.login(provider, profile) })
      subjects.push(json.subject)
    }
    t.is(new Set(subjects).size, 3)
  })

  test('two first logins by linked providers at once are one user', async (t) => {
    const server = await serve(t, ['google', 'kakao'])
    const profile = { email: `${account().id}@example.com`, emailVerified: true }
    const codes = [await server.login(server.google, profile), await server.login(server.kakao, profile)]
    const [one, other] = await Promise.all(codes.map((code) => server.complete({ code })))
    t.is(one!.json.subject, other!.json.subject)
  })

  const apart: Readonly<
    Record<string, readonly [linked: readonly string[], google: boolean, kakao: boolean]>
  > = {
    'only the first provider is named': [['google'], true, true],
    'only the second provider is named': [['kakao'], true, true],
    'the first one does not vouch for the address': [['google', 'kakao'], false, true],
    'the second one does not vouch for the address': [['google', 'kakao'], true, false],
  }
  for (const [when, [linked, byGoogle, byKakao]] of Object.entries(apart)) {
    test(`nothing is linked where ${when}`, async (t) => {
      const server = await serve(t, linked)
      const email = `${account().id}@example.com`
      const one = await server.login(server.google, { email, emailVerified: byGoogle })
      const first = (await server.complete({ code: one })).json
      const other = await server.login(server.kakao, { email, emailVerified: byKakao })
      t.not((await server.complete({ code: other })).json.subject, first.subject)
    })
  }

  test('two accounts of one provider are two users, also with one verified address', async (t) => {
    const server = await serve(t, ['google', 'kakao'])
    const profile = { email: `${account().id}@example.com`, emailVerified: true }
    const one = (await server.complete({ code: await server.login(server.google, profile) })).json
    const other = (await server.complete({ code: await server.login(server.google, profile) })).json
    t.not(one.subject, other.subject)
  })

  test('addresses that only look alike link nobody', async (t) => {
    const server = await serve(t, ['google', 'kakao'])
    const domain = `${account().id}.example`
    const subjects = []
    const first = await server.login(server.kakao, { emailVerified: true, email: `kim@${domain}` })
    subjects.push((await server.complete({ code: first })).json.subject)
    for (const email of [`\u212aim@${domain}`, `k\u0131m@${domain}`, `kim@${domain}.`]) {
      const code = await server.login(server.google, { emailVerified: true, email })
      subjects.push((await server.complete({ code })).json.subject)
    }
    t.is(new Set(subjects).size, 4)
    const code = await server.login(server.google, { emailVerified: true, email: `kim@${domain}` })
    t.is((await server.complete({ code })).json.subject, subjects[0])
  })

  if (name === 'PostgreSQL') return

  test('what is wrong with a request is named, its values never', async (t) => {
    const server = await serve(t)
    const code = await server.login(server.google, account())
    const faults: readonly [body: unknown, expected: RegExp][] = [
      [{}, /^code: expected/],
      [{ code: 1 }, /^code: expected/],
      [{ code: '' }, /^code: expected/],
      [{ code, code_verifier: 'a b' }, /^code_verifier: expected 1 to 128/],
      [{ code, code_verifier: 'x'.repeat(129) }, /^code_verifier: expected/],
      [{ code, connect: 'true' }, /^connect: expected true or false/],
      [{ code, subject: 'ada' }, /^subject: not known here/],
    ]
    for (const [body, expected] of faults) {
      const { status, json } = await server.complete(body)
      t.is(status, 400)
      t.is(json.code, 'invalid_request')
      t.regex(json.detail, expected)
      t.false(json.detail.includes(code))
    }
    t.is((await server.complete({ code })).status, 200)
  })

  test('whoever may log in need not be a client, and a client may bring the code too', async (t) => {
    const server = await serve(t)
    const code = await server.login(server.google, account())
    const headers = { authorization: asAuth.Authorization }
    const { status, json } = await server.complete({ code }, headers)
    t.is(status, 200)
    t.is(decodeJwt(json.access_token).client_id, 'munjigi')
  })
})
