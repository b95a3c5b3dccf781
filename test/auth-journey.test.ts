import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { type EmbeddedConfig, eachDatabase, type PostgresConfig } from './support/database.ts'
import { freePorts } from './support/ports.ts'
import { startProcess } from './support/processes.ts'
import { until } from './support/until.ts'

eachDatabase(({ test, fresh }) => {
  test('sign up, log in and ask who one is, through the gateway; the console shows each passing', async (t) => {
    const { url, house } = await npmStart(t, await fresh(t))
    const account = { email: 'ann@example.com', password: 'correct horse battery staple' }

    const signedUp = await post(`${url}/api/user/signup`, { ...account, name: 'Ann' })
    t.is(signedUp.status, 201)
    const user = (await signedUp.json()) as { id: string }

    const requestId = `journey-${randomUUID()}`
    const loggedIn = await post(`${url}/api/user/login`, account, { 'X-Request-Id': requestId })
    t.is(loggedIn.status, 200)
    t.is(loggedIn.headers.get('x-request-id'), requestId)
    const pair = (await loggedIn.json()) as Record<string, string>
    t.like(pair, { token_type: 'Bearer', expires_in: 900, scope: 'profile' })
    t.truthy(pair.refresh_token)

    const me = await whoAmI(url, pair.access_token!)
    t.is(me.status, 200)
    t.deepEqual(await me.json(), { ...user, scope: 'profile' })

    house.kill('SIGINT')
    t.is((await house.exited).code, 0)
    const passings = [
      /^auth {2}POST \/user\/signup {2}201 {2}[\d.]+ ms$/m,
      /^→ POST \/api\/user\/signup {2}auth@\S+ {2}201 {2}[\d.]+ ms$/m,
      /^→ POST \/tokens\/create {2}gateway {2}200 {2}[\d.]+ ms$/m,
      /^auth {2}POST \/user\/login {2}200 {2}[\d.]+ ms$/m,
      /^→ POST \/api\/user\/login {2}auth@\S+ {2}200 {2}[\d.]+ ms$/m,
      /^auth {2}GET \/user\/me {2}200 {2}[\d.]+ ms$/m,
      /^→ GET \/api\/user\/me {2}auth@\S+ {2}200 {2}[\d.]+ ms$/m,
    ]
    const places = passings.map((line) => house.output().search(line))
    t.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
      'in this order',
    )
    t.false(places.includes(-1), house.output())
    for (const secret of [account.password, pair.access_token!, pair.refresh_token!]) {
      t.false(house.output().includes(secret))
    }
  })

  test('nobody reaches GET /api/user/me without a token, nor by writing the identity headers himself', async (t) => {
    const { url, house } = await npmStart(t, await fresh(t))
    for (const name of ['X-User-Id', 'x_user_id', 'X-USER-ID']) {
      const reply = await fetch(`${url}/api/user/me`, { headers: { [name]: 'admin' } })
      t.is(reply.status, 401)
      t.is(reply.headers.get('www-authenticate'), 'Bearer')
      t.like(await reply.json(), { code: 'authentication_required' })
    }
    t.notRegex(house.output(), /^auth {2}GET \/user\/me/m, 'nothing was forwarded')
  })

  test('a typed dummy token is printed on the console, and is somebody at GET /api/user/me', async (t) => {
    const { url, house } = await npmStart(t, await fresh(t))
    const typed = 'typed-into-swagger-ui'
    const dummy = await post(`${url}/tokens/dummy`, { access_token: typed })
    t.is(dummy.status, 200)
    t.like(await dummy.json(), { access_token: typed })
    await house.printed(new RegExp(typed))
    const me = await whoAmI(url, typed)
    t.is(me.status, 200)
    const body = (await me.json()) as object
    t.deepEqual(Object.keys(body).toSorted(), ['id', 'scope'])
  })
})

/** What `npm start` runs, with a database of its own. */
async function npmStart(t: ExecutionContext, config: EmbeddedConfig | PostgresConfig) {
  const [port, authPort] = await freePorts(2)
  const house = startProcess(t, 'scripts/start.ts', {
    HOST: '127.0.0.1',
    PORT: String(port),
    AUTH_HOST: '127.0.0.1',
    AUTH_PORT: String(authPort),
    // The gateway keeps its database in the folder `database` of DATA_DIR; so does the test.
    DATA_DIR: config.kind === 'embedded' ? dirname(config.dataDir) : await emptyFolder(t),
    DATABASE_URL: config.kind === 'postgres' ? config.url : '',
  })
  await house.printed(/listens on/)
  const url = `http://127.0.0.1:${port}`
  // Both listen before a server's tables are there.
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'the gateway is ready')
  const stranger = { email: 'stranger@example.com', password: 'x' }
  const judged = async () => (await post(`${url}/api/user/login`, stranger)).status === 401
  await until(judged, 'the database of the house is there')
  return { url, house }
}

async function emptyFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

function post(url: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

const whoAmI = (url: string, token: string) =>
  fetch(`${url}/api/user/me`, { headers: { Authorization: `Bearer ${token}` } })
