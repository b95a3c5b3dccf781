import { randomUUID } from 'node:crypto'
import test from 'ava'
import { type ErrorCode, GatewayError } from '../../src/errors.ts'
import { connectionListSchema, connectionSchema, removalSchema } from '../../src/oauth/schemas.ts'
import type { Connection, ListQuery } from '../../src/oauth/vault/vault.ts'
import { connectionOf, startConnectionServer, withToken } from '../support/connection-server.ts'

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000)
const always = (connection: Connection) => async () => connection
const failing = (code: ErrorCode) => async () => {
  throw new GatewayError(code, { detail: 'the vault’s own words' })
}
const loginUrl = 'https://gateway.example.com/oauth/kakao/login'

test('a connection is shown with whose account it is, its times and a good token', async (t) => {
  const connection = connectionOf({
    profile: {
      id: '42',
      name: '진민',
      email: 'jin@example.com',
      emailVerified: true,
      picture: 'https://p/1',
    },
    scope: 'profile account_email',
    expiresAt: inSeconds(3600),
    lastRefreshedAt: new Date('2026-11-23T10:00:00.456Z'),
  })
  const ask = await startConnectionServer(t, {
    find: always(connection),
    fresh: async (one) => withToken(one, 'a token'),
  })
  const { status, headers, json } = await ask(`/${connection.id}`)
  t.is(status, 200)
  t.is(headers.get('cache-control'), 'no-store')
  connectionSchema.strict().parse(json)
  const { expires_in: expiresIn, ...rest } = json
  t.true(Number.isInteger(expiresIn) && expiresIn > 3000 && expiresIn <= 3600, String(expiresIn))
  t.deepEqual(rest, {
    id: connection.id,
    provider: 'kakao',
    provider_user_id: '42',
    profile: { name: '진민', email: 'jin@example.com', email_verified: true, picture: 'https://p/1' },
    state: 'active',
    scope: 'profile account_email',
    created_at: '2026-11-23T09:00:00.123Z',
    updated_at: '2026-11-23T10:00:00.456Z',
    last_refreshed_at: '2026-11-23T10:00:00.456Z',
    access_token: 'a token',
    token_type: 'Bearer',
  })
})

test('what is not known is left out: the end of a token that has none, a last refresh, a name', async (t) => {
  const connection = connectionOf()
  const ask = await startConnectionServer(t, {
    find: always(connection),
    fresh: async (one) => withToken(one),
  })
  const { json } = await ask(`/${connection.id}`)
  for (const name of ['expires_in', 'last_refreshed_at', 'login_url', 'error']) t.false(name in json, name)
  t.deepEqual(json.profile, { email_verified: false })
})

test('the user having to log in again is an answer: 200, no token, and where to', async (t) => {
  const connection = connectionOf()
  const ask = await startConnectionServer(t, {
    find: always(connection),
    fresh: failing('reauthorization_required'),
  })
  const { status, json } = await ask(`/${connection.id}`)
  t.is(status, 200)
  t.like(json, { state: 'needs_reauth', login_url: loginUrl })
  for (const name of ['access_token', 'token_type', 'expires_in', 'error']) t.false(name in json, name)
})

test('a provider that is not configured any more has no login to be sent to', async (t) => {
  const connection = connectionOf({ provider: 'gone' })
  const ask = await startConnectionServer(t, {
    find: always(connection),
    fresh: failing('reauthorization_required'),
    refresh: failing('reauthorization_required'),
  })
  t.false('login_url' in (await ask(`/${connection.id}`)).json)
  const { status, json } = await ask(`/${connection.id}/refresh`, { method: 'POST' })
  t.is(status, 409)
  t.false('login_url' in json)
})

for (const [code, status] of [
  ['provider_timeout', 504],
  ['provider_bad_response', 502],
  ['refresh_postponed', 503],
  ['vault_unreadable', 500],
] as const) {
  test(`where there is no good token because of ${code}, that is the answer of one and of its refresh`, async (t) => {
    const connection = connectionOf()
    const ask = await startConnectionServer(t, {
      find: always(connection),
      fresh: failing(code),
      refresh: failing(code),
    })
    const shown = await ask(`/${connection.id}`)
    const refreshed = await ask(`/${connection.id}/refresh`, { method: 'POST' })
    for (const reply of [shown, refreshed]) {
      t.is(reply.status, status)
      t.is(reply.json.code, code)
    }
  })
}

test('a refresh answers with the new token; 409 with a login where only the user can mend it', async (t) => {
  const connection = connectionOf()
  const ask = await startConnectionServer(t, {
    find: always(connection),
    refresh: async (one) => withToken(one, 'newer'),
  })
  const { status, json } = await ask(`/${connection.id}/refresh`, { method: 'POST' })
  t.is(status, 200)
  connectionSchema.strict().parse(json)
  t.is(json.access_token, 'newer')

  const refused = await startConnectionServer(t, {
    find: always(connection),
    refresh: failing('reauthorization_required'),
  })
  const refusal = await refused(`/${connection.id}/refresh`, { method: 'POST' })
  t.is(refusal.status, 409)
  t.like(refusal.json, { code: 'reauthorization_required', login_url: loginUrl })
})

test('one that is removed while it is asked for is as if it had never been', async (t) => {
  const connection = connectionOf()
  const ask = await startConnectionServer(t, {
    find: async (id) => (id === connection.id ? connection : undefined),
    fresh: failing('not_found'),
    refresh: failing('not_found'),
  })
  const { request_id: _, ...unknown } = (await ask(`/${randomUUID()}`)).json
  for (const [path, method] of [
    ['', 'GET'],
    ['/refresh', 'POST'],
  ] as const) {
    const { status, json } = await ask(`/${connection.id}${path}`, { method })
    t.is(status, 404)
    const { request_id: __, ...problem } = json
    t.deepEqual(problem, unknown)
  }
})

for (const [revocation, status] of [
  ['done', 200],
  ['unsupported', 200],
  ['queued', 202],
] as const) {
  test(`a removal says what became of the grant: ${revocation}`, async (t) => {
    const id = randomUUID()
    const ask = await startConnectionServer(t, { remove: async () => revocation })
    const reply = await ask(`/${id}`, { method: 'DELETE' })
    t.is(reply.status, status)
    removalSchema.strict().parse(reply.json)
    t.deepEqual(reply.json, { id, revocation })
  })
}

test('one that cannot be refreshed now is listed without a token, says why, and spoils nothing', async (t) => {
  const outcomes = new Map<string, () => Promise<never>>()
  const make = (outcome?: () => Promise<never>) => {
    const connection = connectionOf()
    if (outcome !== undefined) outcomes.set(connection.id, outcome)
    return connection
  }
  const good = make()
  const late = make(failing('provider_timeout'))
  const unreadable = make(failing('vault_unreadable'))
  const dead = make(failing('reauthorization_required'))
  const removed = make(failing('not_found'))
  const ask = await startConnectionServer(t, {
    list: async () => [late, good, removed, unreadable, dead],
    fresh: async (one) => withToken(one, (await outcomes.get(one.id)?.()) ?? 'good'),
  })
  const { status, json } = await ask('')
  t.is(status, 200)
  connectionListSchema.strict().parse(json)
  t.deepEqual(
    json.connections.map((one: Record<string, unknown>) => [
      one.id,
      one.state,
      one.access_token,
      one.error,
      one.login_url,
    ]),
    [
      [late.id, 'active', undefined, 'provider_timeout', undefined],
      [good.id, 'active', 'good', undefined, undefined],
      [unreadable.id, 'active', undefined, 'vault_unreadable', undefined],
      [dead.id, 'needs_reauth', undefined, undefined, loginUrl],
    ],
  )
})

test('of a list four are refreshed at once and no more, and it comes in its order', async (t) => {
  const connections = Array.from({ length: 20 }, () => connectionOf())
  let running = 0
  let mostSeen = 0
  const gates: (() => void)[] = []
  const ask = await startConnectionServer(t, {
    list: async () => connections,
    async fresh(one) {
      running += 1
      mostSeen = Math.max(mostSeen, running)
      // Whoever comes fourth lets everybody go, the last first: so there are four, or it never ends.
      await new Promise<void>((go) => {
        gates.push(go)
        if (gates.length === 4) for (const gate of gates.splice(0).reverse()) gate()
      })
      running -= 1
      return withToken(one)
    },
  })
  const { json } = await ask('')
  t.is(mostSeen, 4)
  t.deepEqual(
    json.connections.map(({ id }: { id: string }) => id),
    connections.map(({ id }) => id),
  )
})

test('a page is followed by `next`, until there is none', async (t) => {
  const all = Array.from({ length: 5 }, (_, i) =>
    connectionOf({ createdAt: new Date(1_800_000_000_000 - i) }),
  )
  const queries: ListQuery[] = []
  const ask = await startConnectionServer(t, {
    async list(query) {
      queries.push(query)
      const from = all.findIndex(({ id }) => id === query.after?.id) + 1
      return all.slice(from, from + query.limit)
    },
    fresh: async (one) => withToken(one),
  })
  const seen: string[] = []
  let after = ''
  for (let page = 0; page < 3; page++) {
    const { json } = await ask(`?provider=kakao&limit=2${after}`)
    seen.push(...json.connections.map(({ id }: { id: string }) => id))
    t.is('next' in json, page < 2)
    after = `&after=${json.next}`
  }
  t.deepEqual(
    seen,
    all.map(({ id }) => id),
  )
  t.deepEqual(
    queries.map(({ subject, provider, after }) => [subject, provider, after]),
    [undefined, all[1]!, all[3]!].map((last) => [
      'user-1',
      'kakao',
      last && { createdAt: last.createdAt, id: last.id },
    ]),
  )
})

test('without a limit a page has twenty', async (t) => {
  const all = Array.from({ length: 30 }, () => connectionOf())
  const ask = await startConnectionServer(t, {
    list: async ({ limit }) => all.slice(0, limit),
    fresh: async (one) => withToken(one),
  })
  t.is((await ask('')).json.connections.length, 20)
  t.is((await ask('?limit=')).json.connections.length, 20)
})

const cursor = (text: string) => Buffer.from(text).toString('base64url')
for (const [name, values] of Object.entries({
  limit: ['0', '101', '-1', '1.5', 'all', '1e9'],
  after: [
    'x',
    cursor('1800000000000'),
    cursor(`x ${randomUUID()}`),
    cursor("1 ' or 1=1"),
    '!',
    'a'.repeat(300),
  ],
  provider: ['Kakao', 'a b', '../x', 'x'.repeat(65)],
})) {
  test(`an impossible \`${name}\` is 400 and is named, and the vault is not asked`, async (t) => {
    const ask = await startConnectionServer(t, {})
    for (const value of values) {
      const { status, json } = await ask(`?${name}=${encodeURIComponent(value)}`)
      t.is(status, 400, value)
      t.is(json.code, 'invalid_request')
      t.regex(json.detail, new RegExp(`^${name}: expected `), value)
      t.false(json.detail.includes(value) && value.length > 4, value)
    }
  })
}

test('parameters and members that nobody knows are named, and one that comes twice', async (t) => {
  const id = randomUUID()
  const ask = await startConnectionServer(t, {})
  for (const [path, init, detail] of [
    ['?colour=red', {}, 'colour: not known here'],
    ['?limit=1&limit=2', {}, 'limit: expected once'],
    [`/${id}?limit=1`, {}, 'limit: not known here'],
    [`/${id}?colour=red`, { method: 'DELETE' }, 'colour: not known here'],
    [`/${id}/refresh`, { method: 'POST', body: '{"force":true}' }, 'force: not known here'],
  ] as const) {
    const headers = { 'Content-Type': 'application/json' }
    const { status, json } = await ask(path, { ...init, ...('body' in init && { headers }) })
    t.is(status, 400, path)
    t.is(json.detail, detail)
  }
})

test('what is no id of ours is 404 without the vault being asked', async (t) => {
  const ask = await startConnectionServer(t, {})
  for (const id of [
    '1',
    'x',
    `${randomUUID()}x`,
    randomUUID().toUpperCase(),
    "'%20or%201=1",
    '..%2fproviders',
  ]) {
    const { status, json } = await ask(`/${id}`)
    t.is(status, 404, id)
    t.is(json.code, 'not_found')
  }
})

test('another method is 405 and says which there are', async (t) => {
  const ask = await startConnectionServer(t, {}, { routePrefix: '/e' })
  for (const [path, allow] of [
    ['', /GET/],
    [`/${randomUUID()}`, /DELETE/],
  ] as const) {
    const { status, headers, json } = await ask(path, { method: 'PUT' })
    t.is(status, 405)
    t.is(json.code, 'method_not_allowed')
    t.regex(headers.get('allow') ?? '', allow)
  }
})
