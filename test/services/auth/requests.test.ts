import test, { type ExecutionContext } from 'ava'
import { startBareHouse } from '../../support/auth-house.ts'

async function start(t: ExecutionContext, env: Readonly<Record<string, string>> = {}) {
  const house = await startBareHouse({ DATABASE_URL: 'none', ...env })
  t.teardown(house.stop)
  return house
}

const good = { email: 'ann@example.com', password: 'correct horse', name: 'Ann' }
const bad: Readonly<Record<string, readonly [body: unknown, pointers: readonly string[]]>> = {
  'no members': [{}, ['#/email', '#/password']],
  'an e-mail that is none': [{ ...good, email: 'ann' }, ['#/email']],
  'an e-mail that is too long': [{ ...good, email: `${'a'.repeat(250)}@b.co` }, ['#/email']],
  'an e-mail that is a number': [{ ...good, email: 7 }, ['#/email']],
  'an e-mail with a NUL in it': [{ ...good, email: 'ann\0@example.com' }, ['#/email']],
  'a password of 7 characters': [{ ...good, password: 'hunter2' }, ['#/password']],
  'a password of 201 characters': [{ ...good, password: 'x'.repeat(201) }, ['#/password']],
  'a password with half a character': [{ ...good, password: 'hunter22\ud800' }, ['#/password']],
  'an empty name': [{ ...good, name: ' ' }, ['#/name']],
  'a name that moves the cursor': [{ ...good, name: 'Ann\u001b[2J' }, ['#/name']],
  'a member that is not known': [{ ...good, admin: true }, ['#/admin']],
  'a member with a slash in its name': [{ ...good, 'a/b~': true }, ['#/a~1b~0']],
  'a list': [[], ['#/']],
}
for (const [what, [body, pointers]] of Object.entries(bad)) {
  test(`${what} is a 400 that names the member and does not quote it`, async (t) => {
    const house = await start(t)
    const reply = await house.post('/user/signup', body)
    t.is(reply.status, 400)
    t.is(reply.headers.get('content-type'), 'application/problem+json')
    t.is(reply.body.code, 'invalid_request')
    t.deepEqual(
      reply.body.errors.map(({ pointer }: { pointer: string }) => pointer),
      pointers,
    )
    t.false(JSON.stringify(reply.body).includes('hunter2'))
  })
}

test('a password is counted in characters, and 200 of any kind will do', async (t) => {
  const house = await start(t)
  const reply = await house.post('/user/signup', { ...good, password: '🔑'.repeat(200) })
  t.is(reply.status, 503, 'only the database is missing')
})

for (const text of ['', '{', '{"email":', '"text"', '7']) {
  test(`a body of ${JSON.stringify(text)} is a 400 that does not quote it`, async (t) => {
    const house = await start(t)
    const reply = await house.post('/user/login', text)
    t.is(reply.status, 400)
    t.is(reply.body.code, 'invalid_request')
  })
}

test('a body of more than 64 KB is a 413', async (t) => {
  const house = await start(t)
  const reply = await house.post('/user/login', { ...good, password: 'x'.repeat(65_536) })
  t.is(reply.status, 413)
  t.is(reply.body.code, 'payload_too_large')
})

for (const type of ['application/x-www-form-urlencoded', 'text/plain', '']) {
  test(`a body of type "${type}" is a 415`, async (t) => {
    const house = await start(t)
    const reply = await house.post('/user/login', 'email=ann%40example.com', { 'Content-Type': type })
    t.is(reply.status, 415)
    t.is(reply.body.code, 'unsupported_media_type')
  })
}

test('GET /user/me is a 401 where the gateway has not said who is calling', async (t) => {
  const house = await start(t)
  const { status, headers, body } = await house.get('/user/me', { 'X-User-Scope': 'profile' })
  t.is(status, 401)
  t.is(headers.get('www-authenticate'), 'Bearer')
  t.is(body.code, 'authentication_required')
})

test('the identity headers have the names that the gateway was told', async (t) => {
  const house = await start(t, { USER_ID_HEADER: 'X-Caller', USER_SCOPE_HEADER: 'X-Caller-Scope' })
  const { body } = await house.get('/user/me', { 'X-Caller': 'ann', 'X-Caller-Scope': 'profile' })
  t.deepEqual(body, { id: 'ann', scope: 'profile' })
  t.is((await house.get('/user/me', { 'X-User-Id': 'ann' })).status, 401)
})

test('without a database signing up and logging in say so; the rest goes on', async (t) => {
  const house = await start(t)
  for (const path of ['/user/signup', '/user/login']) {
    const { status, body } = await house.post(path, { email: 'ann@example.com', password: 'correct horse' })
    t.is(status, 503)
    t.is(body.code, 'database_unavailable')
    t.regex(body.detail, /DATABASE_URL/)
  }
  t.is((await house.get('/users')).status, 200)
  t.is((await house.get('/user/me', { 'X-User-Id': 'test-user' })).status, 200)
})

test('with the database away it starts, is alive, answers 503 in time, and counts in memory', async (t) => {
  // Port 1 of the loopback interface is nobody's.
  const house = await start(t, {
    DATABASE_URL: 'postgres://auth:hunter2@127.0.0.1:1/app',
    AUTH_ADDRESS_LIMIT: '2/15m',
  })
  const login = { email: 'ann@example.com', password: 'correct horse' }
  const here = { 'X-Forwarded-For': '192.0.2.1' }
  for (let i = 0; i < 5; i += 1) {
    const { status, headers, body } = await house.post('/user/login', login, here)
    t.is(status, 503, 'an attempt that could not be judged does not count as failed')
    t.is(body.code, 'database_unavailable')
    t.truthy(headers.get('retry-after'))
  }
  t.deepEqual(
    (await Promise.all([1, 2, 3].map(() => house.post('/user/signup', login, here))))
      .map(({ status }) => status)
      .toSorted(),
    [429, 503, 503].toSorted(),
  )
  t.is((await house.get('/users')).status, 200)
  t.deepEqual((await house.get('/health')).body, { status: 'ok' })
  t.false(house.lines.join('\n').includes('hunter2'))
})

test('each passing is a line, and none has a password or token in it', async (t) => {
  const house = await start(t)
  await house.post('/user/login', { email: 'ann@example.com', password: 'hunter2' })
  await house.get('/user/me', { 'X-User-Id': 'ann', Authorization: 'Bearer hunter2' })
  t.regex(house.lines[0]!, /^POST \/user\/login {2}503 {2}\d+\.\d ms$/)
  t.regex(house.lines[1]!, /^GET \/user\/me {2}200 {2}\d+\.\d ms$/)
  t.false(house.lines.join('\n').includes('hunter2'))
})
