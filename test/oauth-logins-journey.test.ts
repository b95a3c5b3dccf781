import { randomBytes, randomUUID } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import { sharedPostgres } from './support/database.ts'
import { journey } from './support/journeys.ts'
import {
  app,
  type OAuthReplica,
  oauthNeighbourhood,
  providerNames,
  publicUrl,
} from './support/oauth-neighbourhood.ts'
import { callbackTricks, hostTricks, urlTricks } from './support/oauth-tricks.ts'
import { shared, someone } from './support/token-server.ts'

const freshDatabase = sharedPostgres()

/** Two gateways, all providers, a house for each; the tests of this file share them. */
const world = shared(async (t) => {
  const { url: databaseUrl } = await freshDatabase(t as ExecutionContext)
  const there = await oauthNeighbourhood(t as ExecutionContext, { databaseUrl, demo: true })
  const [a, b] = await Promise.all([there.start(), there.start()])
  const { calls } = there.dialects
  const ofDemo = (path: string) => there.demoDoor!.passed.filter((one) => one === `POST ${path}`).length
  const questions = (endpoint: string) =>
    ({ 'demo.token': ofDemo('/token'), 'demo.revoke': ofDemo('/token/revocation') })[endpoint] ??
    calls[endpoint] ??
    0
  return { ...there, a, b, questions }
})

/** What each says of the end of a grant, and how it is asked. */
const ends: Readonly<Record<string, readonly [revocation: string, method?: string]>> = {
  google: ['done', 'POST'],
  facebook: ['done', 'DELETE'],
  github: ['done', 'DELETE'],
  naver: ['done', 'POST'],
  kakao: ['done', 'POST'],
  microsoft: ['unsupported'],
  demo: ['done', 'POST'],
}

for (const provider of providerNames) {
  journey(`${provider}: from the login to the end of the grant, over two gateways`, async (t) => {
    const { a, b, logIn, questions, dialects } = await world()
    const tokenCalls = questions(`${provider}.token`)
    const user = await logIn([a, b, a], provider)
    const token = { token: user.token }
    const { status, json } = await b.send('GET', '/oauth', token)
    t.is(status, 200)
    t.is(json.connections.length, 1)
    const [connection] = json.connections
    t.like(connection, { id: user.id, provider, state: 'active' })
    // Facebook's is exchanged for one that lives longer.
    const expectedCalls = provider === 'facebook' ? 2 : 1
    t.is(questions(`${provider}.token`) - tokenCalls, expectedCalls)

    const house = `/api/with/${provider}`
    const spoofed = { 'x-provider-token': 'spoofed', 'X-PROVIDER-TOKEN': 'spoofed too' }
    for (const one of [a, b]) {
      const reply = await one.send('GET', house, { ...token, headers: spoofed })
      t.is(reply.status, 200, reply.text)
      t.is(reply.json['x-provider-token'], connection.access_token)
    }
    const elsewhere = await a.send('GET', '/api/house', { ...token, headers: spoofed })
    t.is(elsewhere.status, 200)
    t.false('x-provider-token' in elsewhere.json)
    const stranger = await a.create(someone())
    const refused = await b.send('GET', house, { token: stranger.access_token, headers: spoofed })
    t.is(refused.status, 403)
    t.like(refused.json, {
      code: 'connection_required',
      login_url: `${publicUrl}/oauth/${provider}/login`,
    })

    const [revocation, method] = ends[provider]!
    const asked = () => questions(`${provider}.revoke`)
    const before = asked()
    const removed = await b.send('DELETE', `/oauth/${user.id}`, token)
    t.is(removed.status, 200, removed.text)
    t.deepEqual(removed.json, { id: user.id, revocation })
    t.is(asked() - before, method === undefined ? 0 : 1)
    if (method !== undefined && provider !== 'demo') {
      const last = dialects.requests.filter(({ endpoint }) => endpoint === `${provider}.revoke`).at(-1)!
      t.is(last.method, method)
    }
    t.is((await a.send('GET', `/oauth/${user.id}`, token)).status, 404)
    t.is((await a.send('GET', house, token)).status, 403)
    t.log(
      `${provider}: token endpoint asked ${expectedCalls}, revocation ${revocation}, asked ${asked() - before}`,
    )
  })
}

journey('a callback with anything amiss gets a page, and the provider is asked nothing', async (t) => {
  const { a, b, begin, sayYes, comeBack, keep, questions } = await world()
  let refusals = 0
  for (const provider of ['google', 'github']) {
    for (const [what, trick] of Object.entries(callbackTricks)) {
      const away = await begin(a, provider)
      const other = await begin(a, provider)
      const back = await sayYes(away.location)
      keep('code', back.searchParams.get('code')!)
      const { search, cookie = away.cookie } = trick(back, away, other)
      const calls = questions(`${provider}.token`)
      const reply = await comeBack(b, provider, search, cookie === '' ? undefined : cookie)
      t.is(reply.status, 400, `${provider}: ${what}: ${reply.text}`)
      t.regex(reply.headers.get('content-type')!, /^text\/html/)
      t.regex(reply.text, /That login did not work\./)
      t.regex(reply.text, new RegExp(`href="${publicUrl}/oauth/${provider}/login[^"]*">Try again<`), what)
      t.is(reply.headers.get('cache-control'), 'no-store')
      t.is(questions(`${provider}.token`), calls, `${provider}: ${what}`)
      refusals += 1
    }
  }
  t.log(`${refusals} callbacks refused with 400, token endpoints asked 0 times`)
})

journey('a callback that comes again gets a page, and the provider is asked once in all', async (t) => {
  const { a, b, begin, sayYes, comeBack, keep, questions } = await world()
  const away = await begin(a, 'google')
  const back = await sayYes(away.location)
  keep('code', back.searchParams.get('code')!)
  const calls = questions('google.token')
  const together = await Promise.all(
    [a, b, a, b].map((one) => comeBack(one, 'google', back.search, away.cookie)),
  )
  t.deepEqual(together.map(({ status }) => status).sort(), [302, 400, 400, 400])
  for (const reply of together) {
    const location = reply.headers.get('location')
    if (location !== null) keep('login code', new URL(location).searchParams.get('code')!)
  }
  t.is((await comeBack(b, 'google', back.search, away.cookie)).status, 400)
  t.is(questions('google.token') - calls, 1)
})

journey('addresses that are almost on a list are not on it', async (t) => {
  const { a, codeOf, questions, sql } = await world()
  const calls = questions('google.token')
  for (const url of urlTricks(app)) {
    const login = await a.send('GET', `/oauth/google/login?${new URLSearchParams({ return_to: url })}`)
    t.is(login.status, 400, url)
    t.is(login.json.code, 'invalid_request')
    t.false(login.headers.has('location'))
  }
  const subject = someone()
  const code = await codeOf('google')
  for (const url of [...urlTricks(app), ...urlTricks(`${publicUrl}/oauth/google/callback`)]) {
    const body = { ...code, redirect_uri: url, subject }
    const reply = await a.sendAsClient('POST', '/oauth', body)
    t.is(reply.status, 400, url)
    t.is(reply.json.code, 'invalid_request')
  }
  t.is(questions('google.token'), calls)
  t.deepEqual(await sql(`select 1 from munjigi.connections where subject = '${subject}'`), [])
})

journey('another Host than the public one begins no login and ends none', async (t) => {
  const { a, begin, sayYes, keep, dialects, questions } = await world()
  const calls = questions('google.token')
  for (const headers of hostTricks(new URL(publicUrl).host)) {
    const login = await a.send('GET', '/oauth/google/login', { headers })
    t.is(login.status, 400, JSON.stringify(headers))
    t.false(login.headers.has('set-cookie'))
    const away = await begin(a, 'google')
    const back = await sayYes(away.location)
    keep('code', back.searchParams.get('code')!)
    const path = `/oauth/google/callback${back.search}`
    const reply = await a.send('GET', path, { headers: { ...headers, cookie: away.cookie } })
    t.is(reply.status, 400, JSON.stringify(headers))
    t.false(reply.text.includes('evil.example'))
  }
  t.is(questions('google.token'), calls)
  // A proxy's word on the host counts, and nothing is built from it either.
  const headers = { host: 'evil.example.com', 'x-forwarded-host': new URL(publicUrl).host }
  const location = new URL((await a.send('GET', '/oauth/google/login', { headers })).headers.get('location')!)
  t.is(location.searchParams.get('redirect_uri'), `${publicUrl}/oauth/google/callback`)
  // In all that has been asked of any provider so far.
  const addresses = dialects.requests.flatMap(({ parameters, endpoint }) =>
    parameters.has('redirect_uri') ? [[endpoint.split('.')[0], parameters.get('redirect_uri')]] : [],
  )
  t.true(addresses.length > 10)
  for (const [provider, address] of addresses) {
    t.true([`${publicUrl}/oauth/${provider}/callback`, app].includes(address!), address!)
  }
})

journey("a connection is its owner's, under all five verbs", async (t) => {
  const { a, b, logIn, codeOf, clientSecret, dialects } = await world()
  const mine = await logIn([a], 'google')
  const other = await a.create(someone())
  const code = async (subject?: string) => ({ ...(await codeOf('kakao')), ...(subject && { subject }) })
  const basic = (secret: string) => ({
    authorization: `Basic ${Buffer.from(`house:${secret}`).toString('base64')}`,
  })
  const client = { headers: basic(clientSecret) }
  const callers = {
    'the owner': { token: mine.token },
    'another user': { token: other.access_token },
    nobody: {},
    'a token that is none': { token: randomBytes(32).toString('base64url') },
    "a provider's token": { token: [...dialects.house.accessTokens.keys()].at(-1) },
    'a refresh token': { token: other.refresh_token },
    'a client with a wrong secret': { headers: basic('wrong') },
    'a client for nobody': client,
    'a client for another subject': { ...client, subject: someone() },
    'a client for the owner': { ...client, subject: mine.subject },
    'a user for the owner': { token: other.access_token, subject: mine.subject },
  } as const
  type Caller = { token?: string; headers?: Record<string, string>; subject?: string }
  // Status of: list, show, refresh, connect, show of an id that never was; and, at the end, remove.
  const expected: Readonly<Record<keyof typeof callers, readonly number[]>> = {
    'another user': [200, 404, 404, 201, 404, 404],
    nobody: [401, 401, 401, 401, 401, 401],
    'a token that is none': [401, 401, 401, 401, 401, 401],
    "a provider's token": [401, 401, 401, 401, 401, 401],
    'a refresh token': [401, 401, 401, 401, 401, 401],
    'a client with a wrong secret': [401, 401, 401, 401, 401, 401],
    'a client for nobody': [400, 400, 400, 400, 400, 400],
    'a client for another subject': [200, 404, 404, 201, 404, 404],
    'a client for the owner': [200, 200, 200, 201, 404, 200],
    'a user for the owner': [400, 400, 400, 400, 400, 400],
    'the owner': [200, 200, 200, 201, 404, 200],
  }
  for (const [name, statuses] of Object.entries(expected)) {
    const { subject, ...sent } = callers[name as keyof typeof callers] as Caller
    const query = subject === undefined ? '' : `?subject=${subject}`
    const isOwner = name.endsWith('the owner') && statuses[0] === 200
    // Those who may remove it have one each.
    const { id } = isOwner && name !== 'the owner' ? mine : await connectionOf(a, mine, await codeOf('naver'))
    const ask = (method: string, path: string, body?: object) => b.send(method, path, { ...sent, body })
    const list = await ask('GET', `/oauth${query}`)
    const replies = [
      list,
      await ask('GET', `/oauth/${id}${query}`),
      await ask('POST', `/oauth/${id}/refresh`, subject === undefined ? {} : { subject }),
      await ask('POST', '/oauth', await code(subject)),
      await ask('GET', `/oauth/${randomUUID()}${query}`),
      await ask('DELETE', `/oauth/${id}${query}`),
    ]
    t.deepEqual(
      replies.map(({ status }) => status),
      [...statuses],
      name,
    )
    if (list.status === 200) {
      const ids = list.json.connections.map((one: { id: string }) => one.id)
      t.is(ids.includes(id), isOwner, name)
    }
    if (statuses[1] === 404) {
      const [, theirs, , , unknown] = replies.map(({ json }) => ({ ...json, instance: '', request_id: '' }))
      t.deepEqual(theirs, unknown, 'nobody learns which ids there are')
    }
  }
})

/** One more of the owner's. */
async function connectionOf(gateway: OAuthReplica, { token }: { token: string }, code: object) {
  const { status, json, text } = await gateway.send('POST', '/oauth', { token, body: code })
  if (status !== 201) throw new Error(`${status} ${text}`)
  return json as { readonly id: string }
}
