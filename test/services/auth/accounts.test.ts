import test, { type ExecutionContext } from 'ava'
import { type AuthHouse, address, email, startAuthHouse } from '../../support/auth-house.ts'
import { eachDatabase, type TestedDatabase } from '../../support/database.ts'
import { pair } from '../../support/token-endpoint.ts'

const password = 'correct horse battery staple'
const issuer = 'http://localhost:8080'

eachDatabase((database) => {
  const { test } = database
  const start = houseOn(database)

  test('who signs up gets an id, and nothing of the password', async (t) => {
    const house = await start()
    const ann = email()
    const { status, body } = await house.post('/user/signup', { email: ann, password, name: ' Ann ' })
    t.is(status, 201)
    const { id, created_at, ...rest } = body
    t.regex(id, /^[0-9a-f-]{36}$/)
    t.true(Math.abs(Date.now() - Date.parse(created_at)) < 60_000)
    t.deepEqual(rest, { email: ann, name: 'Ann' })
  })

  test('login answers with the token pair as the gateway gave it, never to be cached', async (t) => {
    const house = await start()
    const ann = email()
    const { body: user } = await house.post('/user/signup', { email: ann, password })
    const requestId = `test-${ann.slice(0, 8)}`
    const { status, headers, body } = await house.post(
      '/user/login',
      { email: ann, password },
      { 'X-Request-Id': requestId },
    )
    t.is(status, 200)
    t.deepEqual(body, pair)
    t.is(headers.get('cache-control'), 'no-store')
    const asked = house.gateway.requests.find((request) => request.headers['x-request-id'] === requestId)
    t.like(asked, { method: 'POST', url: '/tokens/create' })
    t.is(asked?.headers.authorization, `Basic ${btoa('dev-client:dev-secret')}`)
    t.deepEqual(JSON.parse(asked!.body), { subject: user.id, scope: 'profile' })
  })

  test('an e-mail in other letters and with spaces around it is the same one', async (t) => {
    const house = await start()
    const ann = email()
    t.is((await house.post('/user/signup', { email: ` ${ann.toUpperCase()} `, password })).body.email, ann)
    const again = await house.post('/user/signup', { email: ann, password })
    t.is(again.status, 409)
    t.like(again.body, { code: 'email_taken' })
    t.is((await house.post('/user/login', { email: ann.toUpperCase(), password })).status, 200)
  })

  test('of 20 parallel sign-ups with one e-mail exactly one succeeds', async (t) => {
    const house = await start()
    const ann = email()
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => house.post('/user/signup', { email: ann, password })),
    )
    const statuses = replies.map(({ status }) => status)
    t.deepEqual(statuses.toSorted(), [201, ...Array.from({ length: 19 }, () => 409)])
  })

  test('an unknown e-mail and a wrong password get the same reply', async (t) => {
    const house = await start()
    const ann = email()
    await house.post('/user/signup', { email: ann, password })
    const wrong = await house.post('/user/login', { email: ann, password: `${password}!` })
    const unknown = await house.post('/user/login', { email: email(), password })
    t.is(wrong.status, 401)
    t.like(wrong.body, { code: 'invalid_credentials' })
    t.deepEqual([unknown.status, unknown.body], [wrong.status, wrong.body])
  })

  test('a password is the same however its characters were composed', async (t) => {
    const house = await start()
    const ann = email()
    const typed = 'Zoë 비밀번호 ﬁve'
    await house.post('/user/signup', { email: ann, password: typed.normalize('NFD') })
    t.is((await house.post('/user/login', { email: ann, password: typed.normalize('NFC') })).status, 200)
  })

  test('GET /user/me tells the caller who he is', async (t) => {
    const house = await start()
    const { body: user } = await house.post('/user/signup', { email: email(), password, name: 'Ann' })
    const { status, headers, body } = await house.get('/user/me', {
      'X-User-Id': user.id,
      'X-User-Scope': 'profile',
      'X-User-Issuer': issuer,
    })
    t.is(status, 200)
    t.deepEqual(body, { ...user, scope: 'profile' })
    t.is(headers.get('cache-control'), 'no-store')
  })

  test("the same subject of another issuer's is somebody else", async (t) => {
    const house = await start()
    const { body: user } = await house.post('/user/signup', { email: email(), password })
    const other = { 'X-User-Id': user.id, 'X-User-Scope': '', 'X-User-Issuer': 'https://login.example.com' }
    t.deepEqual((await house.get('/user/me', other)).body, { id: user.id, scope: '' })
  })

  test('a subject that is no user here has an id and a scope, and no e-mail', async (t) => {
    const house = await start()
    for (const id of ['test-user', '7b0c2c57-6a6c-4a2e-9f0e-0a4f4d1d9a11', "'; drop table auth.users"]) {
      const headers = { 'X-User-Id': id, 'X-User-Scope': 'profile', 'X-User-Issuer': issuer }
      const { status, body } = await house.get('/user/me', headers)
      t.is(status, 200)
      t.deepEqual(body, { id, scope: 'profile' })
    }
  })

  test('failed logins are held off per account and address, and the right password does not help', async (t) => {
    const house = await start()
    const ann = email()
    await house.post('/user/signup', { email: ann, password })
    const here = { 'X-Forwarded-For': address() }
    for (let i = 0; i < 3; i += 1) {
      t.is((await house.post('/user/login', { email: ann, password: 'wrong' }, here)).status, 401)
    }
    const { status, headers, body } = await house.post('/user/login', { email: ann, password }, here)
    t.is(status, 429)
    t.like(body, { code: 'too_many_requests' })
    const seconds = Number(headers.get('retry-after'))
    t.true(seconds > 0 && seconds <= 900, `Retry-After: ${seconds}`)
    t.is((await house.post('/user/login', { email: ann, password })).status, 200, 'from elsewhere')
    t.is((await house.post('/user/login', { email: email(), password }, here)).status, 401, 'another account')
  })

  test('a login that succeeds makes up for those that failed', async (t) => {
    const house = await start()
    const ann = email()
    await house.post('/user/signup', { email: ann, password })
    const here = { 'X-Forwarded-For': address() }
    for (const given of ['wrong', 'wrong', password, 'wrong', 'wrong', password]) {
      const { status } = await house.post('/user/login', { email: ann, password: given }, here)
      t.is(status, given === password ? 200 : 401)
    }
  })

  test('parallel guesses do not slip past the limit', async (t) => {
    const house = await start()
    const here = { 'X-Forwarded-For': address() }
    const guess = { email: email(), password: 'wrong' }
    const replies = await Promise.all(
      Array.from({ length: 10 }, () => house.post('/user/login', guess, here)),
    )
    t.is(replies.filter(({ status }) => status === 401).length, 3)
    t.is(replies.filter(({ status }) => status === 429).length, 7)
  })

  test('sign-ups and failed logins of one address are held off, IPv6 by the /64', async (t) => {
    const house = await start()
    const network = `2001:db8:${Math.floor(Math.random() * 0xffff).toString(16)}:1`
    const from = (host: number) => ({ 'X-Forwarded-For': `${network}::${host}` })
    for (let i = 0; i < 8; i += 1) {
      const { status } = await house.post('/user/login', { email: email(), password: 'wrong' }, from(i))
      t.is(status, 401)
    }
    t.is((await house.post('/user/login', { email: email(), password: 'wrong' }, from(99))).status, 429)
    t.is((await house.post('/user/signup', { email: email(), password }, from(99))).status, 201)
  })
})

/** One house for all tests on a database, started by the first that asks: a new one for each would be slow. */
function houseOn({ fresh }: TestedDatabase): () => Promise<AuthHouse> {
  let house: Promise<AuthHouse> | undefined
  const cleanups: (() => unknown)[] = []
  // The database outlives the test that happens to be the first.
  const file = { teardown: (clean: () => unknown) => void cleanups.push(clean) } as ExecutionContext
  test.after.always(async () => {
    await (await house)?.stop()
    for (const clean of cleanups) await clean()
  })
  return () => {
    house ??= fresh(file).then((config) =>
      startAuthHouse(config, { AUTH_LOGIN_LIMIT: '3/15m', AUTH_ADDRESS_LIMIT: '8/15m' }),
    )
    return house
  }
}
