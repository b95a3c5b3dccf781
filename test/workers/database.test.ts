import { postgresTest, sharedPostgres } from '../support/database.ts'
import { execute } from '../support/postgres.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'
import { startWorkers } from '../support/workers.ts'

const fresh = sharedPostgres()

postgresTest(
  'two workers share one PostgreSQL: the pool is divided, and tokens of one are tokens of the other',
  async (t) => {
    const { url } = await fresh(t)
    const { origin } = await httpUpstream(t, (_request, reply) => void reply.end('ok'))
    const gateway = await startWorkers(t, origin, {
      DATABASE_URL: url,
      DATABASE_POOL_SIZE: '4',
      GATEWAY_CLIENTS: 'house:a-secret-of-its-own',
      ENCRYPTION_KEYS: `one:${Buffer.alloc(32, 1).toString('base64')}`,
    })
    const ready = async () => {
      const replies = await Promise.all(Array.from({ length: 6 }, () => request(`${gateway.url}/readyz`)))
      return replies.every(({ status }) => status === 200)
    }
    await until(ready, 'both are ready')
    const headers = {
      authorization: `Basic ${Buffer.from('house:a-secret-of-its-own').toString('base64')}`,
      'content-type': 'application/json',
    }
    const post = (path: string, body: unknown) =>
      request(gateway.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    const tokens = await Promise.all(
      Array.from({ length: 12 }, (_, i) => post('/tokens/create', { subject: `user-${i}` })),
    )
    for (const { status, body } of tokens) {
      t.is(status, 200)
      t.true(JSON.parse((await post('/tokens/verify', { token: JSON.parse(body).access_token })).body).active)
    }
    const [count] = await execute(
      url,
      `select count(*)::int as open from pg_stat_activity where application_name = 'munjigi' and datname = current_database()`,
    )
    t.true(Number(count?.open) <= 4 + 2, `${count?.open}: two pools of two, and two that listen`)
  },
)
