import { spawn } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import { createAuthService } from '../../services/auth/app.ts'
import { createLog, requestLine } from '../../services/auth/log.ts'
import { type AuthServer, startAuthService } from '../../services/auth/server.ts'
import { consulTest, startConsul } from '../support/consul.ts'
import { until } from '../support/until.ts'

async function start(t: ExecutionContext, env: NodeJS.ProcessEnv = {}) {
  const lines: string[] = []
  const service = await startAuthService({
    env: { AUTH_PORT: '0', AUTH_HOST: '127.0.0.1', DATABASE_URL: 'none', ...env },
    log: { line: (text) => void lines.push(text) },
  })
  t.teardown(service.stop)
  return { ...service, lines }
}

test('GET /users says welcome', async (t) => {
  const { url } = await start(t)
  const reply = await fetch(`${url}/users`)
  t.is(reply.status, 200)
  t.deepEqual(await reply.json(), { message: 'Welcome from AUTH service' })
})

test('GET /health is well', async (t) => {
  const { url } = await start(t)
  const reply = await fetch(`${url}/health`)
  t.is(reply.status, 200)
  t.deepEqual(await reply.json(), { status: 'ok' })
})

test('what the API document shows as the answer to a GET is the answer', async (t) => {
  const { url } = await start(t)
  for (const path of ['/users', '/health']) {
    const { content } = (await apiDocument(url)).paths[path]!.get!.responses['200']!
    const { example } = content!['application/json']!
    t.deepEqual(await (await fetch(`${url}${path}`)).json(), example)
  }
})

test('the API document has every path there is, and says which one asks for a token', async (t) => {
  const { url } = await start(t)
  const { openapi, paths, components } = await apiDocument(url)
  t.is(openapi, '3.1.0')
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { security }]) => [`${method} ${path}`, security] as const),
  )
  t.deepEqual(Object.fromEntries(operations), {
    'get /users': undefined,
    'post /user/signup': undefined,
    'post /user/login': undefined,
    'get /user/me': [{ bearer: [] }],
    'get /health': undefined,
  })
  t.like(components.securitySchemes, { bearer: { type: 'http', scheme: 'bearer' } })
  for (const operation of Object.keys(Object.fromEntries(operations))) {
    const [method, path] = operation.split(' ')
    const reply = await fetch(`${url}${path}`, { method: method!.toUpperCase() })
    t.false([404, 405].includes(reply.status), operation)
  }
})

test('the request schemas are those that requests are checked with', async (t) => {
  const { url } = await start(t)
  const { components } = await apiDocument(url)
  t.like(components.schemas.SignupRequest, {
    required: ['email', 'password'],
    additionalProperties: false,
    properties: {
      email: { type: 'string', format: 'email', maxLength: 254 },
      password: { type: 'string', format: 'password', minLength: 8, maxLength: 200 },
      name: { type: 'string', minLength: 1, maxLength: 100 },
    },
  })
})

interface ApiDocument {
  openapi: string
  paths: Record<string, Record<string, ApiOperation>>
  components: { schemas: Record<string, object>; securitySchemes: object }
}

interface ApiOperation {
  security?: unknown
  responses: Record<string, { content?: Record<string, { example: unknown }> }>
}

async function apiDocument(url: string): Promise<ApiDocument> {
  return (await (await fetch(`${url}/openapi.json`)).json()) as ApiDocument
}

test('an unknown path is a problem document with the request id it came with', async (t) => {
  const { url } = await start(t)
  const reply = await fetch(`${url}/nowhere`, { headers: { 'X-Request-Id': 'abc' } })
  t.is(reply.status, 404)
  t.is(reply.headers.get('content-type'), 'application/problem+json')
  t.deepEqual(await reply.json(), {
    type: 'about:blank',
    title: 'Not Found',
    status: 404,
    code: 'not_found',
    request_id: 'abc',
  })
})

test('a method that a path does not have is a 405 with Allow', async (t) => {
  const { url } = await start(t)
  const reply = await fetch(`${url}/users`, { method: 'DELETE' })
  t.is(reply.status, 405)
  t.regex(reply.headers.get('allow') ?? '', /GET/)
  t.like(await reply.json(), { code: 'method_not_allowed' })
})

test('an unforeseen error is a bare 500 that tells nothing of itself', async (t) => {
  const lines: string[] = []
  const fail = () => {
    throw new TypeError('the password is hunter2')
  }
  const app = createAuthService({
    log: { line: (text) => void lines.push(text) },
    accounts: { signup: fail, login: fail, me: fail },
  })
  const server = http.createServer(app.callback()).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  const reply = await fetch(`http://127.0.0.1:${port}/user/me`)

  t.is(reply.status, 500)
  t.false(`${await reply.text()}${lines.join()}`.includes('hunter2'))
})

test('each request is one line, without its query, and good health checks are none', async (t) => {
  const { url, lines } = await start(t)
  for (const path of ['/health', '/users?token=secret', '/nowhere']) await (await fetch(url + path)).text()
  t.is(lines.length, 2)
  t.regex(lines[0]!, /^GET \/users {2}200 {2}\d+\.\d ms$/)
  t.regex(lines[1]!, /^GET \/nowhere {2}404 {2}\d+\.\d ms$/)
})

test('lines begin with the name of the service', (t) => {
  const output = new PassThrough({ encoding: 'utf8' })
  createLog(output).line('GET /users  200  0.4 ms')
  t.is(output.read(), 'auth  GET /users  200  0.4 ms\n')
})

test('a path cannot forge a line of the log', (t) => {
  const line = requestLine({ method: 'GET', path: '/a\n\u001b[2Jé', status: 404, durationMs: 1 })
  t.is(line, 'GET /a??[2J?  404  1.0 ms')
})

test('a port in use is an error that names the port and the variable', async (t) => {
  const { url } = await start(t)
  const { port } = new URL(url)
  await t.throwsAsync(start(t, { AUTH_PORT: port }), {
    message: `port ${port} is in use: stop what listens there, or set AUTH_PORT to another one`,
  })
})

for (const port of ['http', '-1', '65536', '80.5', ' 80']) {
  test(`AUTH_PORT=${JSON.stringify(port)} is refused by name`, async (t) => {
    await t.throwsAsync(start(t, { AUTH_PORT: port }), {
      message: `AUTH_PORT: expected a port number from 0 to 65535, got ${JSON.stringify(port)}`,
    })
  })
}

test("AUTH_HOST that is not the machine's is refused by name", async (t) => {
  await t.throwsAsync(start(t, { AUTH_HOST: '192.0.2.1' }), { message: /^AUTH_HOST: "192\.0\.2\.1" is no/ })
})

test('a bad Consul setting stops the start by name, and nothing keeps listening', async (t) => {
  await t.throwsAsync(start(t, { CONSUL_HTTP_ADDR: 'unix:///x' }), { message: /^CONSUL_HTTP_ADDR: expected/ })
})

test('stop answers what is in flight, on a connection that it then closes', async (t) => {
  const service: AuthServer = await start(t)
  const { port } = new URL(service.url)
  const socket = net.connect(Number(port), '127.0.0.1')
  const closed = once(socket, 'close')
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk
  })
  // A first reply shows that the connection is being served; the second request is half sent.
  socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /users HTTP/1.1\r\nHost: x\r\n')
  await until(() => received.includes('{"status":"ok"}'), 'the first reply')

  const stopped = service.stop()
  socket.write('\r\n')
  await Promise.all([stopped, closed])

  const second = received.slice(received.indexOf('{"status":"ok"}'))
  t.regex(second, /Connection: close/)
  t.regex(second, /Welcome from AUTH service/)
  await t.throwsAsync(fetch(`${service.url}/users`))
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`as a process it listens, and ends with exit code 0 on ${signal}`, async (t) => {
    const main = resolve(import.meta.dirname, '../../services/auth/main.ts')
    const env = { ...process.env, AUTH_PORT: '0', CONSUL_HTTP_ADDR: '', DATABASE_URL: 'none' }
    const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => child.kill('SIGKILL'))
    const exited = once(child, 'exit')
    const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
    t.regex(line, /^auth {2}listening on http:\/\/localhost:\d+\n$/)
    child.kill(signal)
    t.deepEqual(await exited, [0, null])
  })
}

consulTest('it registers itself in Consul with its routes, and leaves when it stops', async (t) => {
  const consul = await startConsul(t)
  const { url, stop } = await start(t, { CONSUL_HTTP_ADDR: consul.address })
  const find = async () =>
    (await (await fetch(`http://${consul.address}/v1/health/service/auth?passing`)).json()) as {
      Service: { Address: string; Port: number; Tags: string[] }
    }[]
  await until(async () => (await find()).length === 1, 'the service is registered and passing')
  const [{ Service: service } = t.fail()] = await find()
  t.is(`http://${service.Address}:${service.Port}`, url)
  t.deepEqual(service.Tags.toSorted(), [
    'gateway.auth=none',
    'gateway.enable=true',
    'gateway.path=/api/user',
    'gateway.path=/api/user/me; auth=required',
    'gateway.path=/api/users',
    'gateway.strip=/api',
  ])

  await stop()
  t.deepEqual(await find(), [])
})
