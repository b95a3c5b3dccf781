import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { configFolder } from '../support/config.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { startProcess } from '../support/processes.ts'
import { rawClient } from '../support/raw-client.ts'
import { keepAliveAgent, request } from '../support/request.ts'
import { handshake } from '../support/websocket.ts'

const house = 'http://127.0.0.1:9'
const production = { NODE_ENV: 'production', PUBLIC_URL: 'https://www.jinmini.com' }

test('in production the public port has no admin endpoints, whoever asks', async (t) => {
  const adminToken = 'an-admin-token-of-24-chars'
  const { url, adminUrl = '' } = await startGatewayFor(
    t,
    house,
    {},
    { ...production, ADMIN_TOKEN: adminToken },
  )
  const headers = { authorization: `Bearer ${adminToken}` }
  for (const path of ['/admin', '/admin/routes', '/admin/explain?method=GET&url=/']) {
    t.is((await request(url + path, { headers })).status, 404, path)
  }
  t.is((await request(`${adminUrl}/admin/routes`)).status, 200)
  t.is((await request(`${adminUrl}/admin/routes`, { headers: { host: 'e.example' } })).status, 401)
  t.is(
    (await request(`${adminUrl}/admin/routes`, { headers: { ...headers, host: 'e.example' } })).status,
    200,
  )
})

test('in production no service can take /admin', async (t) => {
  const services = { own: { urls: [house], path: '/admin', auth: 'none', openapi: false } }
  const { url } = await startGateway(t, { file: { services }, env: production })
  t.is((await request(`${url}/admin/routes`)).status, 404)
})

test('the admin port has the admin endpoints and the probes, and nothing else', async (t) => {
  const { adminUrl = '', access } = await startGatewayFor(
    t,
    house,
    {},
    { ADMIN_PORT: '0', ROUTE_PREFIX: '/e' },
  )
  for (const path of ['/livez', '/readyz']) t.is((await request(adminUrl + path)).status, 200, path)
  for (const path of ['/', '/docs', '/api/house', '/e/docs', '/e/admin/routes']) {
    t.is((await request(adminUrl + path)).status, 404, path)
  }
  const reply = await request(`${adminUrl}/admin/routes`)
  t.is(reply.status, 200)
  t.is(reply.headers['x-content-type-options'], 'nosniff')
  t.like(access.at(-1), { path: '/admin/routes', status: 200 })
  const client = await rawClient(t, Number(new URL(adminUrl).port))
  client.send(handshake('/admin/routes'))
  t.regex((await client.ended()).text, /^HTTP\/1\.1 404 /)
})

test('what is no HTTP is refused and logged there too', async (t) => {
  const { adminUrl = '', access } = await startGatewayFor(t, house, {}, { ADMIN_PORT: '0' })
  const client = await rawClient(t, Number(new URL(adminUrl).port))
  client.send('nonsense\r\n\r\n')
  t.regex((await client.ended()).text, /^HTTP\/1\.1 400 /)
  t.like(access.at(-1), { status: 400, errorCode: 'bad_request' })
})

test('a stop closes the admin port with the other one, idle connections too', async (t) => {
  const { adminUrl = '', gateway } = await startGatewayFor(t, house, {}, { ADMIN_PORT: '0' })
  const agent = keepAliveAgent(t)
  t.is((await request(`${adminUrl}/admin/routes`, { agent })).status, 200)
  await gateway.stop()
  const error = await t.throwsAsync(request(`${adminUrl}/admin/routes`))
  t.is((error as NodeJS.ErrnoException).code, 'ECONNREFUSED')
})

async function taken(t: ExecutionContext): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

async function startFails(t: ExecutionContext, env: Readonly<Record<string, string>>): Promise<string> {
  const child = startProcess(
    t,
    'src/main.ts',
    { HOST: '127.0.0.1', PORT: '0', ...env },
    { cwd: configFolder(t) },
  )
  t.deepEqual(await child.exited, { code: 1, signal: null })
  return child.errors()
}

test('an admin port that is in use ends the start and is named', async (t) => {
  const port = await taken(t)
  t.is(
    await startFails(t, { ADMIN_PORT: String(port) }),
    `munjigi cannot start: ADMIN_PORT: ${port} is in use; stop what listens there, or set ADMIN_PORT to another one\n`,
  )
})

test('an ADMIN_HOST that is not this machine’s ends the start and is named', async (t) => {
  t.is(
    await startFails(t, { ADMIN_PORT: '0', ADMIN_HOST: '192.0.2.1' }),
    'munjigi cannot start: ADMIN_HOST: "192.0.2.1" is no address of this machine\n',
  )
})

test('a main port that is in use ends the start and leaves nothing of the admin port', async (t) => {
  const port = await taken(t)
  t.regex(await startFails(t, { ADMIN_PORT: '0', PORT: String(port) }), /^munjigi cannot start: PORT: /)
})
