import { randomBytes } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import { postgresTest, sharedPostgres } from '../support/database.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { execute } from '../support/postgres.ts'
import { codeOf, request } from '../support/request.ts'
import { until } from '../support/until.ts'

const freshPostgres = sharedPostgres()
const secret = 'a-secret-of-the-auth-service-that-is-long-enough'
const stranger = '203.0.113.66'
const home = '198.51.100.1'

/** Gateways on one database, behind a proxy that says whose request it is. */
async function gateways(t: ExecutionContext, count: number, env: Record<string, string>) {
  const { url } = await freshPostgres(t)
  const settings = {
    DATABASE_URL: url,
    ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    GATEWAY_CLIENTS: `auth:${secret}`,
    TRUSTED_PROXIES: '127.0.0.1',
    ...env,
  }
  const started: TestGateway[] = []
  for (let i = 0; i < count; i++) started.push(await startGateway(t, { env: settings }))
  const create = (index: number, address: string, password = secret, id = 'auth') =>
    request(`${started[index]!.url}/tokens/create`, {
      method: 'POST',
      headers: {
        Authorization: `Basic ${Buffer.from(`${id}:${password}`).toString('base64')}`,
        'Content-Type': 'application/json',
        'X-Forwarded-For': address,
      },
      body: JSON.stringify({ subject: 'ada' }),
    })
  /** As anybody may. */
  const ask = (address: string) =>
    request(`${started[0]!.url}/tokens/refresh`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': address },
      body: JSON.stringify({ refresh_token: 'invented' }),
    })
  return { create, ask, rows: () => execute(url, 'select points from munjigi.rate_limits') }
}

postgresTest('whoever guesses a secret is held off at every replica, and the client is not', async (t) => {
  const { create, rows } = await gateways(t, 2, { TOKEN_FAILURE_LIMIT: '3/1m' })
  for (let i = 0; i < 3; i++) t.is((await create(0, stranger, 'a guess')).status, 401)
  const refused = await create(0, stranger)
  t.is(refused.status, 429)
  t.is(codeOf(refused), 'too_many_requests')
  t.true(Number(refused.headers['retry-after']) > 0)

  await until(async () => (await rows()).filter(({ points }) => points === 3).length === 3, 'it is shared')
  t.is((await create(1, stranger, 'a guess')).status, 401)
  await until(async () => (await create(1, stranger)).status === 429, 'the other replica knows')
  for (const index of [0, 1]) t.is((await create(index, home)).status, 200)
})

postgresTest('a client that is right is not refused for others who guess at its address', async (t) => {
  const { create } = await gateways(t, 1, { TOKEN_FAILURE_LIMIT: '3/1m' })
  for (let i = 0; i < 3; i++) t.is((await create(0, home, 'a guess', `client-${i}`)).status, 401)
  for (const id of ['client-4', 'auth']) {
    const refused = await create(0, home, 'a guess', id)
    t.is(refused.status, 429, id)
    t.true(Number(refused.headers['retry-after']) > 0)
    t.is((await create(0, home)).status, 200)
  }
  for (let i = 0; i < 2; i++) t.is((await create(0, home, 'a guess')).status, 429)
  t.is((await create(0, home)).status, 429, 'once it is this very client that is guessed at there')
})

postgresTest(
  'an address may ask the token endpoints so often and no more, unless a client asks',
  async (t) => {
    const { create, ask } = await gateways(t, 1, { TOKEN_RATE_LIMIT: '2/1h' })
    t.is((await ask(home)).status, 400)
    t.regex(String((await ask(home)).headers.ratelimit), /^"address";r=0;t=\d+$/)
    const refused = await ask(home)
    t.is(refused.status, 429)
    t.true(Number(refused.headers['retry-after']) > 60)
    t.is((await ask(stranger)).status, 400)
    for (let i = 0; i < 4; i++) t.is((await create(0, home)).status, 200)
  },
)
