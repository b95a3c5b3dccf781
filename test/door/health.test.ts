import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { loadConfig } from '../../src/config/load.ts'
import { discoverySources } from '../../src/discovery/sources/index.ts'
import { createGateway } from '../../src/gateway.ts'
import { createLog } from '../../src/observability/log.ts'
import { openEmbedded } from '../../src/persistence/embedded.ts'
import { calmTest as test } from '../support/calm.ts'
import { freshEmbedded } from '../support/database.ts'
import { startGateway } from '../support/gateway.ts'
import { handSource, service } from '../support/hand-source.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'

test('it is alive from the start, and ready once discovery has spoken', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.end('ok'))
  const source = handSource('consul-like')
  const config = loadConfig({
    env: { NODE_ENV: 'test', DATABASE_URL: 'none', HOST: '127.0.0.1', PORT: '0', DRAIN_DELAY: '0s' },
    cwd: import.meta.dirname,
    sources: discoverySources,
  })
  const gateway = createGateway(
    { ...config, discovery: { sources: [source.configured], holdMs: 1000 } },
    { log: createLog({ level: 'silent', format: 'people' }) },
  )
  const { port } = await gateway.start()
  t.teardown(() => gateway.stop())
  const url = `http://127.0.0.1:${port}`

  const alive = await request(`${url}/livez`)
  t.is(alive.status, 200)
  t.deepEqual(JSON.parse(alive.body), { status: 'ok' })
  const starting = await request(`${url}/readyz`)
  t.is(starting.status, 503)
  t.deepEqual(JSON.parse(starting.body), { status: 'starting', discovery: { 'consul-like': 'starting' } })
  t.is((await request(`${url}/api/house`)).status, 404)

  source.publish([service('house', [house.origin], { openapi: false })])
  await until(async () => (await request(`${url}/readyz`)).status === 200, 'ready')
  t.is((await request(`${url}/api/house`)).status, 200)

  source.end(new Error('gone'))
  await until(() => source.watches.length > 1, 'the source is watched again')
  const failing = await request(`${url}/readyz`)
  t.is(failing.status, 200)
  t.deepEqual(JSON.parse(failing.body), { status: 'ready', discovery: { 'consul-like': 'failing' } })
})

test('readiness says that tokens cannot be signed where ENCRYPTION_KEYS do not open the signing key', async (t) => {
  const { dataDir } = await freshEmbedded(t)
  const embedded = openEmbedded(dataDir)
  t.teardown(() => embedded.close())
  const env = {
    NODE_ENV: 'test',
    HOST: '127.0.0.1',
    PORT: '0',
    DRAIN_DELAY: '0s',
    DATA_DIR: dirname(dataDir),
  }
  const start = async (id: string) => {
    const keys = [{ id, secret: randomBytes(32).toString('base64') }]
    const config = loadConfig({ env, cwd: import.meta.dirname, sources: discoverySources })
    const log = createLog({ level: 'silent', format: 'people' })
    const gateway = createGateway(config, { encryptionKeys: keys, embedded, log })
    t.teardown(() => gateway.stop())
    const { port } = await gateway.start()
    const ask = async () => {
      const { status, body } = await request(`http://127.0.0.1:${port}/readyz`)
      return { ...JSON.parse(body), code: status }
    }
    return { gateway, ask }
  }
  const before = await start('old')
  await until(async () => (await before.ask()).code === 200, 'ready')
  t.like(await before.ask(), { database: 'live', signing: 'ready' })
  await before.gateway.stop()
  const { ask } = await start('another')
  await until(async () => (await ask()).signing !== 'starting', 'the keys were read')
  t.like(await ask(), { code: 503, status: 'starting', database: 'live', signing: 'no key' })
})

test('health is never cached, and answers HEAD without a body', async (t) => {
  const { url } = await startGateway(t)
  for (const path of ['/livez', '/readyz']) {
    for (const method of ['GET', 'HEAD']) {
      const reply = await request(url + path, { method })
      t.is(reply.status, 200)
      t.is(reply.headers['cache-control'], 'no-store')
      t.regex(String(reply.headers['content-type']), /^application\/json/)
      t.is(reply.body === '', method === 'HEAD')
    }
  }
})

test('health is at its fixed place whatever the prefix', async (t) => {
  const { url } = await startGateway(t, { env: { ROUTE_PREFIX: '/e' } })
  t.is((await request(`${url}/livez`)).status, 200)
  t.is((await request(`${url}/readyz`)).status, 200)
  t.is((await request(`${url}/e/livez`)).status, 404)
})

test('health answers an HTTP/1.0 probe', async (t) => {
  const { port } = await startGateway(t)
  const client = await rawClient(t, port)
  client.send('GET /readyz HTTP/1.0\r\n\r\n')
  t.regex((await client.ended()).text, /^HTTP\/1\.1 200 OK\r\n.*"status":"ready"/s)
})

test('readiness fails from the first moment of a shutdown, while requests are still served', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.end('ok'))
  const { url, gateway } = await startGateway(t, {
    file: { services: { house: { urls: [house.origin], auth: 'none', openapi: false } } },
    env: { DRAIN_DELAY: '600ms' },
  })
  const stopped = gateway.stop()
  const reply = await request(`${url}/readyz`)
  t.is(reply.status, 503)
  t.like(JSON.parse(reply.body), { status: 'stopping' })
  t.is((await request(`${url}/livez`)).status, 200)
  t.is((await request(`${url}/api/house`)).status, 200)
  await stopped
  await t.throwsAsync(request(`${url}/livez`), { code: 'ECONNREFUSED' })
})
