import { randomUUID } from 'node:crypto'
import { eachDatabase } from '../support/database.ts'
import { createForger, type SigningKeyRow } from '../support/forger.ts'
import { startIssuer } from '../support/issuer.ts'
import {
  type Answer,
  asClient,
  basic,
  bearer,
  clientSecret,
  publicUrl,
  startOAuthGateway,
} from '../support/oauth-gateway.ts'
import { startScriptedProvider } from '../support/scripted-provider.ts'
import { shared } from '../support/token-server.ts'

interface Call {
  readonly headers?: Readonly<Record<string, string>>
  /** Which connection; not for `/oauth` itself. */
  readonly id?: string
  readonly subject?: string | undefined
  /** At the provider, whose code is brought; one of its own for each code where it is left out. */
  readonly account?: string
  /** Members of the body beside those that the verb asks for. */
  readonly body?: Readonly<Record<string, unknown>>
}

const verbs = [
  'POST /oauth',
  'GET /oauth',
  'GET /oauth/:id',
  'POST /oauth/:id/refresh',
  'DELETE /oauth/:id',
] as const
type Verb = (typeof verbs)[number]
const ofOne = verbs.slice(2)

eachDatabase(({ test, fresh }) => {
  const world = shared(async (t) => {
    const provider = await startScriptedProvider(t)
    const issuer = await startIssuer(t)
    const gateway = await startOAuthGateway(t, await fresh(t), {
      ...provider.env,
      TRUSTED_ISSUERS: issuer.setting,
    })
    const [row] = await gateway.sql(
      'select * from munjigi.signing_keys where activated_at is not null and retired_at is null',
    )
    const { public_jwk: jwk } = row as { public_jwk: unknown }
    const parsed = { ...row, public_jwk: typeof jwk === 'string' ? JSON.parse(jwk) : jwk } as SigningKeyRow
    const forger = await createForger(parsed, gateway.encryptionKey, publicUrl)

    /** One of the five verbs, of whoever the headers say. */
    function call(verb: Verb, { headers, id = '', subject, account, body = {} }: Call): Promise<Answer> {
      const [method, pattern] = verb.split(' ') as [string, string]
      const path = pattern.replace(':id', id)
      const named = subject === undefined ? {} : { subject }
      const given = { ...(headers && { headers }) }
      if (method !== 'POST') {
        const query = new URLSearchParams(named).toString()
        return gateway.send(method, query === '' ? path : `${path}?${query}`, given)
      }
      const grant =
        pattern === '/oauth'
          ? { provider: 'kakao', code: provider.code({ ...(account && { account }) }).code }
          : {}
      return gateway.send(method, path, { ...given, body: { ...grant, ...named, ...body } })
    }

    /** A new user with a connected account. */
    async function somebody() {
      const subject = `user-${randomUUID()}`
      const token = await gateway.tokenOf(subject)
      const { status, json } = await call('POST /oauth', { headers: bearer(token) })
      if (status !== 201) throw new Error(`expected 201, found ${status}`)
      const { id, provider_user_id: account, access_token: accessToken } = json
      return { subject, headers: bearer(token), id: id as string, account: account as string, accessToken }
    }

    /** What must not change where nothing may happen. */
    const rowOf = async (id: string) =>
      (await gateway.sql(`select * from munjigi.connections where id = '${id}'`))[0]
    const countOf = async (subject: string) =>
      (await gateway.sql(`select id from munjigi.connections where subject = '${subject}'`)).length

    return { ...gateway, provider, issuer, forger, call, somebody, rowOf, countOf }
  })

  /** However it is asked for, nothing is told and nothing happens. */
  async function refusedEverywhere(
    t: Parameters<Parameters<typeof test>[1]>[0],
    given: (
      owner: Awaited<ReturnType<Awaited<ReturnType<typeof world>>['somebody']>>,
    ) => Call | Promise<Call>,
    expected: { readonly status: number; readonly code: string },
    look: (answer: Answer) => void = () => {},
  ) {
    const { call, somebody, rowOf, countOf, provider } = await world()
    const owner = await somebody()
    const before = await rowOf(owner.id)
    const asked = provider.askedAbout(owner.account)
    for (const verb of verbs) {
      const answer = await call(verb, { id: owner.id, account: owner.account, ...(await given(owner)) })
      t.is(answer.status, expected.status, `${verb}: ${answer.text}`)
      t.is(answer.json.code, expected.code, verb)
      t.false(answer.text.includes(owner.accessToken), verb)
      t.is(answer.headers.get('cache-control'), 'no-store', verb)
      look(answer)
    }
    t.deepEqual(await rowOf(owner.id), before)
    t.is(await countOf(owner.subject), 1)
    t.is(provider.askedAbout(owner.account), asked, 'the provider has heard nothing')
  }

  test('a user connects an account and does with it whatever there is to do', async (t) => {
    const { call, somebody } = await world()
    const { id, headers, accessToken } = await somebody()
    const listed = await call('GET /oauth', { headers })
    t.is(listed.status, 200)
    t.deepEqual(
      listed.json.connections.map((one: { id: string }) => one.id),
      [id],
    )
    const shown = await call('GET /oauth/:id', { headers, id })
    t.like(shown, { status: 200, json: { id, access_token: accessToken } })
    const refreshed = await call('POST /oauth/:id/refresh', { headers, id })
    t.is(refreshed.status, 200, refreshed.text)
    t.not(refreshed.json.access_token, accessToken)
    t.is((await call('DELETE /oauth/:id', { headers, id })).json.id, id)
    t.is((await call('GET /oauth/:id', { headers, id })).status, 404)
  })

  test('a user sees his own and no others', async (t) => {
    const { call, somebody } = await world()
    const [one, other] = [await somebody(), await somebody()]
    for (const { headers, id } of [one, other]) {
      const { json } = await call('GET /oauth', { headers })
      t.deepEqual(
        json.connections.map((connection: { id: string }) => connection.id),
        [id],
      )
    }
  })

  for (const verb of ofOne) {
    test(`${verb}: somebody else's id and one that never was are the very same 404`, async (t) => {
      const { call, somebody, rowOf, provider } = await world()
      const [owner, stranger] = [await somebody(), await somebody()]
      const before = await rowOf(owner.id)
      const asked = provider.askedAbout(owner.account)
      const problems = []
      for (const [given, id] of [
        [{ headers: stranger.headers }, owner.id],
        [{ headers: stranger.headers }, randomUUID()],
        [{ headers: asClient, subject: stranger.subject }, owner.id],
        [{ headers: asClient, subject: stranger.subject }, randomUUID()],
      ] as const) {
        const { status, headers, json } = await call(verb, { ...given, id })
        const { request_id: _, ...problem } = json
        const told = [...headers].filter(
          ([name]) => !/^(date|x-request-id|ratelimit(?:-policy)?)$/.test(name),
        )
        problems.push({ status, problem, told: told.filter(([name]) => name !== 'content-length') })
      }
      t.like(problems[0], { status: 404, problem: { code: 'not_found' } })
      for (const problem of problems) t.deepEqual(problem, problems[0])
      t.deepEqual(await rowOf(owner.id), before)
      t.is(provider.askedAbout(owner.account), asked, 'the provider has heard nothing')
    })

    test(`${verb}: a client does it for the subject that it names`, async (t) => {
      const { call, somebody } = await world()
      const { subject, id } = await somebody()
      const { status, json } = await call(verb, { headers: asClient, subject, id })
      t.true([200, 202].includes(status), String(status))
      t.is(json.id, id)
    })
  }

  test('POST /oauth: what a client connects is the named subject’s and nobody else’s', async (t) => {
    const { call, somebody, tokenOf, countOf } = await world()
    const stranger = await somebody()
    const subject = `user-${randomUUID()}`
    const { status, json } = await call('POST /oauth', { headers: asClient, subject })
    t.is(status, 201)
    t.is(await countOf(subject), 1)
    const own = { headers: bearer(await tokenOf(subject)), id: json.id }
    t.is((await call('GET /oauth/:id', own)).status, 200)
    t.is((await call('GET /oauth/:id', { ...own, headers: stranger.headers })).status, 404)
  })

  test('GET /oauth: a client sees those of the subject that it names', async (t) => {
    const { call, somebody } = await world()
    const [one] = [await somebody(), await somebody()]
    const { status, json } = await call('GET /oauth', { headers: asClient, subject: one.subject })
    t.is(status, 200)
    t.deepEqual(
      json.connections.map(({ id }: { id: string }) => id),
      [one.id],
    )
  })

  test('a client may show its secret in the body of a POST as well', async (t) => {
    const { call, somebody } = await world()
    const { subject, id } = await somebody()
    const body = { client_id: 'house', client_secret: clientSecret }
    for (const verb of ['POST /oauth', 'POST /oauth/:id/refresh'] as const) {
      const { status, text } = await call(verb, { subject, id, body })
      t.true([200, 201, 202].includes(status), `${verb}: ${text}`)
    }
  })

  test('a user may name himself', async (t) => {
    const { call, somebody } = await world()
    const { subject, headers, id } = await somebody()
    for (const verb of verbs) t.true((await call(verb, { headers, subject, id })).status < 300, verb)
  })

  test('nobody is told to come with a token or as a client', async (t) => {
    await refusedEverywhere(
      t,
      () => ({}),
      { status: 401, code: 'authentication_required' },
      ({ headers }) =>
        t.is(headers.get('www-authenticate'), 'Bearer, Basic realm="munjigi", charset="UTF-8"'),
    )
  })

  test('a page’s script is told of tokens only, lest the browser ask its user for a password', async (t) => {
    const headers = { 'sec-fetch-site': 'same-origin' }
    await refusedEverywhere(
      t,
      () => ({ headers }),
      { status: 401, code: 'authentication_required' },
      (answer) => t.is(answer.headers.get('www-authenticate'), 'Bearer'),
    )
  })

  test('a subject without a secret is nobody’s, a client id alone too', async (t) => {
    const nobody = { status: 401, code: 'authentication_required' }
    await refusedEverywhere(t, ({ subject }) => ({ subject }), nobody)
    const { call, somebody } = await world()
    const { subject, id } = await somebody()
    for (const verb of ['POST /oauth', 'POST /oauth/:id/refresh'] as const) {
      const { status, json } = await call(verb, { subject, id, body: { client_id: 'house' } })
      t.deepEqual([status, json.code], [401, 'authentication_required'], verb)
    }
  })

  for (const [what, headers] of [
    ['a wrong secret', basic('house', 'another secret')],
    ['an empty secret', basic('house', '')],
    ['a client that does not exist', basic('stranger', clientSecret)],
  ] as const) {
    test(`${what} is refused`, async (t) => {
      await refusedEverywhere(t, ({ subject }) => ({ headers, subject }), {
        status: 401,
        code: 'invalid_client',
      })
    })
  }

  test('a client that names nobody is told to', async (t) => {
    const expected = { status: 400, code: 'invalid_request' }
    await refusedEverywhere(
      t,
      () => ({ headers: asClient }),
      expected,
      ({ json }) => t.regex(json.detail, /^subject: expected in the (body|query)/),
    )
  })

  test('a subject that cannot be one is named, not repeated', async (t) => {
    const expected = { status: 400, code: 'invalid_request' }
    for (const subject of ['a b', 'x'.repeat(256), '사람'])
      await refusedEverywhere(
        t,
        () => ({ headers: asClient, subject }),
        expected,
        ({ json }) => {
          t.regex(json.detail, /^subject: expected 1 to 255 visible ASCII/)
          t.false(json.detail.includes(subject))
        },
      )
  })

  test('a user may name nobody else', async (t) => {
    const { somebody } = await world()
    const { headers } = await somebody()
    const expected = { status: 400, code: 'invalid_request' }
    await refusedEverywhere(
      t,
      ({ subject }) => ({ headers, subject }),
      expected,
      ({ json }) => t.regex(json.detail, /^subject: /),
    )
  })

  test('a token and a client’s secret in one request are refused: whose word counts is not to be guessed', async (t) => {
    const { call, somebody, rowOf } = await world()
    const { subject, headers, id } = await somebody()
    const before = await rowOf(id)
    for (const verb of ['POST /oauth', 'POST /oauth/:id/refresh'] as const) {
      for (const body of [{ client_id: 'house', client_secret: clientSecret }, { client_id: 'house' }]) {
        const { status, json } = await call(verb, { headers, subject, id, body })
        t.deepEqual([status, json.code], [400, 'invalid_request'], verb)
      }
    }
    t.deepEqual(await rowOf(id), before)
  })

  const now = () => Math.floor(Date.now() / 1000)
  type World = Awaited<ReturnType<typeof world>>
  const tokens: Readonly<Record<string, (w: World, subject: string) => string | Promise<string>>> = {
    expired: ({ forger }, sub) => forger.genuine({}, { sub, iat: now() - 900, exp: now() - 1 }),
    revoked: async ({ tokenOf, send }, subject) => {
      const token = await tokenOf(subject)
      await send('POST', '/tokens/revoke', { body: { token } })
      return token
    },
    forged: ({ forger }, sub) => forger.attackers({}, { sub }),
    'for another audience': ({ tokenOf }, subject) => tokenOf(subject, { audience: 'shop-api' }),
    'of another issuer that is trusted': ({ issuer }, sub) => issuer.token({ sub }),
    'no token at all': () => 'anything',
  }
  for (const [kind, make] of Object.entries(tokens)) {
    test(`a token that is ${kind} opens nothing`, async (t) => {
      const w = await world()
      await refusedEverywhere(
        t,
        async ({ subject }) => ({ headers: bearer(await make(w, subject)) }),
        { status: 401, code: 'invalid_token' },
        ({ headers }) => t.regex(headers.get('www-authenticate') ?? '', /^Bearer error="invalid_token"/),
      )
    })
  }

  test('a dummy of a development gateway is a user like any other', async (t) => {
    const { send, call, countOf } = await world()
    const token = `dummy ${randomUUID()}`
    const subject = `user-${randomUUID()}`
    t.is((await send('POST', '/tokens/dummy', { body: { access_token: token, subject } })).status, 200)
    const { status } = await call('POST /oauth', { headers: bearer(token) })
    t.is(status, 201)
    t.is(await countOf(subject), 1)
  })
})
