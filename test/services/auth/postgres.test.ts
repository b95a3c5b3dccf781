import type { ExecutionContext } from 'ava'
import pg from 'pg'
import { createPasswords } from '../../../services/auth/passwords.ts'
import { address, email, startAuthHouse } from '../../support/auth-house.ts'
import { type PostgresConfig, postgresTest, sharedPostgres } from '../../support/database.ts'

const fresh = sharedPostgres()
const password = 'correct horse battery staple'

async function start(
  t: ExecutionContext,
  config: PostgresConfig,
  env: Readonly<Record<string, string>> = {},
) {
  const house = await startAuthHouse(config, env)
  t.teardown(house.stop)
  return house
}

async function query({ url }: PostgresConfig, sql: string, values: unknown[] = []) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql, values)).rows
  } finally {
    await client.end()
  }
}

postgresTest(
  'the tables are in a schema of their own, and hold neither password nor typed e-mail',
  async (t) => {
    const config = await fresh(t)
    const house = await start(t, config)
    const [ann, nobody] = [email(), email()]
    await house.post('/user/signup', { email: ann, password })
    await house.post('/user/login', { email: nobody, password })
    const tables = await query(config, "select tablename from pg_tables where schemaname = 'auth' order by 1")
    t.deepEqual(
      tables.map(({ tablename }) => tablename),
      ['migrations', 'rate_limits', 'users'],
    )
    const rows = [
      ...(await query(config, 'select * from auth.users')),
      ...(await query(config, 'select * from auth.rate_limits')),
    ]
    const text = JSON.stringify(rows)
    t.true(text.includes(ann))
    t.true(text.includes('$argon2id$'))
    t.false(text.includes(password))
    t.false(text.includes(nobody))
  },
)

postgresTest('a login with the right password renews a hash of another cost', async (t) => {
  const config = await fresh(t)
  const house = await start(t, config)
  const ann = email()
  await house.post('/user/signup', { email: ann, password })
  const weak = await createPasswords({ cost: { memory: 64, passes: 1, parallelism: 1 } }).hash(password)
  await query(config, 'update auth.users set password_hash = $1', [weak])
  const stored = async () => (await query(config, 'select password_hash from auth.users'))[0]?.password_hash

  t.is((await house.post('/user/login', { email: ann, password: 'wrong' })).status, 401)
  t.is(await stored(), weak)
  t.is((await house.post('/user/login', { email: ann, password })).status, 200)
  t.regex(String(await stored()), /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  t.is((await house.post('/user/login', { email: ann, password })).status, 200)
})

postgresTest('houses that share a database share users, and count failed logins together', async (t) => {
  const config = await fresh(t)
  const limits = { AUTH_LOGIN_LIMIT: '4/15m' }
  const houses = await Promise.all([start(t, config, limits), start(t, config, limits)])
  const ann = email()
  await houses[0].post('/user/signup', { email: ann, password })
  const here = { 'X-Forwarded-For': address() }
  for (let i = 0; i < 4; i += 1) {
    const { status } = await houses[i % 2]!.post('/user/login', { email: ann, password: 'wrong' }, here)
    t.is(status, 401)
  }
  for (const house of houses)
    t.is((await house.post('/user/login', { email: ann, password }, here)).status, 429)
  t.is((await houses[1].post('/user/login', { email: ann, password })).status, 200)
})
