import { dirname } from 'node:path'
import type { ExecutionContext } from 'ava'
import { startAuthService } from '../../services/auth/server.ts'
import { openEmbedded } from '../../src/persistence/embedded.ts'
import { freshEmbedded } from './database.ts'
import { startGateway, type TestGatewayOptions } from './gateway.ts'
import { until } from './until.ts'

/**
 * A gateway with an embedded database and the auth house behind it, as `npm start` runs them, in this process. The API
 * document has the house in it by then.
 */
export async function startAuthNeighbourhood(
  t: ExecutionContext,
  { env, ...options }: Pick<TestGatewayOptions, 'env' | 'log'> = {},
) {
  const { dataDir } = await freshEmbedded(t)
  const embedded = openEmbedded(dataDir)
  t.teardown(embedded.close)
  const database = { DATABASE_URL: '', DATA_DIR: dirname(dataDir) }
  const house = await startAuthService({
    env: { ...database, AUTH_PORT: '0', AUTH_HOST: '127.0.0.1' },
    log: { line: () => {} },
    embedded,
  })
  t.teardown(house.stop)
  const path = ['/api/users', '/api/user', '/api/user/me; auth=required']
  const gateway = await startGateway(t, {
    file: { services: { auth: { urls: [house.url], path, strip: '/api', auth: 'none' } } },
    env: { ...database, NODE_ENV: 'development', ...env },
    embedded,
    ...options,
  })
  await until(
    async () => (await (await fetch(`${gateway.url}/openapi.json`)).text()).includes('/api/user/me'),
    'the document of the auth service is merged',
  )
  return gateway
}
