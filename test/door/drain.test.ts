import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { calmTest as test } from '../support/calm.ts'
import { startProcess, type TestProcess } from '../support/processes.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream, scriptedUpstream, type TestUpstream } from '../support/upstream.ts'
import { accepted, handshake } from '../support/websocket.ts'

interface RunningGateway extends TestProcess {
  readonly url: string
  readonly port: number
}

/** `npm run gateway` in front of one house. */
async function gateway(
  t: ExecutionContext,
  house: TestUpstream,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningGateway> {
  const cwd = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(cwd, { recursive: true, force: true }))
  const services = { house: { urls: [house.origin], auth: 'none', openapi: false, timeout: '60s' } }
  await writeFile(join(cwd, 'gateway.yaml'), JSON.stringify({ services }))
  const child = startProcess(t, 'src/main.ts', { HOST: '127.0.0.1', PORT: '0', ...env }, { cwd })
  const [, url = ''] = await child.printed(/listens on (http:\/\/127\.0\.0\.1:\d+)/)
  const { port } = new URL(url)
  await until(async () => (await request(`${url}/readyz`)).status === 200, 'it is ready')
  return { ...child, url, port: Number(port) }
}

/** A house whose replies take as long as their path says: `/api/house/1000`. */
function slowHouse(t: ExecutionContext) {
  return httpUpstream(t, (incoming, response) => {
    const timer = setTimeout(() => response.end('done'), Number(incoming.url?.split('/').at(-1)) || 0)
    response.once('close', () => clearTimeout(timer))
  })
}

async function refusesConnections(url: string): Promise<boolean> {
  const code = await request(`${url}/livez`).then(
    () => 'none',
    (error: NodeJS.ErrnoException) => error.code,
  )
  return code === 'ECONNREFUSED'
}

/** How long the process took from this moment on to end, and how it did. */
async function timed(child: TestProcess, startedAt = performance.now()) {
  const ended = await child.exited
  return { ...ended, tookMs: performance.now() - startedAt }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} under load: readiness fails first, then connections are told to close, and no request fails`, async (t) => {
    const house = await slowHouse(t)
    const child = await gateway(t, house, { DRAIN_DELAY: '800ms', DRAIN_TIMEOUT: '5m' })
    const { url } = child
    const seen: { status: number; connection: string | undefined; signalled: boolean }[] = []
    const failures: unknown[] = []
    let signalled = false

    /** One client with one connection, until it is told to go: a balancer would lead its next one elsewhere. */
    async function client(): Promise<void> {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
      t.teardown(() => agent.destroy())
      for (let connection: string | undefined; connection !== 'close'; ) {
        try {
          const reply = await request(`${url}/api/house/5`, { agent })
          connection = reply.headers.connection
          seen.push({ status: reply.status, connection, signalled })
        } catch (error) {
          failures.push(error)
          return
        }
      }
    }
    const clients = Promise.all(Array.from({ length: 8 }, client))
    await until(() => seen.length > 50, 'load')
    let hasCome = false
    house.server.on('request', (incoming) => {
      hasCome ||= incoming.url === '/2000'
    })
    const long = request(`${url}/api/house/2000`)
    await until(() => hasCome, 'the long request is at the house')

    signalled = true
    child.kill(signal)
    await until(async () => (await request(`${url}/readyz`)).status === 503, 'readiness fails')
    t.is((await request(`${url}/api/house/5`)).status, 200, 'requests are still served')
    await clients
    t.deepEqual(failures, [])
    t.true(seen.every(({ status }) => status === 200))
    const closing = seen.filter(({ connection }) => connection === 'close')
    t.is(closing.length, 8)
    t.true(closing.every((reply) => reply.signalled))
    await until(() => refusesConnections(url), 'connections are refused')
    const { status, body, headers } = await long
    t.deepEqual([status, body, headers.connection], [200, 'done', 'close'])
    const { code, tookMs } = await timed(child)
    t.is(code, 0)
    t.true(tookMs < 60_000, `it lived on for ${tookMs} ms`)
    t.is(child.errors(), '')
  })
}

test('a request that takes longer than DRAIN_TIMEOUT is cut, and the exit is in good order all the same', async (t) => {
  const house = await slowHouse(t)
  const child = await gateway(t, house, { DRAIN_TIMEOUT: '500ms' })
  const cut = t.throwsAsync(request(`${child.url}/api/house/6000000`))
  await until(() => house.connections.open === 1, 'the request is at the house')
  const signalledAt = performance.now()
  child.kill('SIGTERM')
  const { code, tookMs } = await timed(child, signalledAt)
  await cut
  t.is(code, 0)
  t.true(tookMs >= 500 && tookMs < 60_000, `it took ${tookMs} ms`)
  await until(() => house.connections.open === 0, 'the house is let go')
})

test('everything that can hang on to a connection at once does not hold the process past DRAIN_TIMEOUT', async (t) => {
  const house = await slowHouse(t)
  const child = await gateway(t, house, { DRAIN_TIMEOUT: '1s' })
  const send = async (text: string) => (await rawClient(t, child.port)).send(text)
  await rawClient(t, child.port)
  await send('GET /api/house/1 HTTP/1.1\r\nHost: a\r\nX-Half: ')
  await send('POST /api/house/600000 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf')
  await send('GET /api/house/600000 HTTP/1.1\r\nHost: a\r\n\r\n')
  await send(handshake('/api/house/600000'))
  await send('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(() => house.connections.open >= 3, 'they are at the house')
  child.kill('SIGTERM')
  const { code, tookMs } = await timed(child)
  t.is(code, 0)
  t.true(tookMs < 60_000, `it took ${tookMs} ms`)
})

test('with nothing in flight it ends at once: idle connections, silent ones and WebSockets do not hold it', async (t) => {
  const house = await scriptedUpstream(t, (socket, head) => {
    socket.write(
      head.includes('pgrade: websocket') ? accepted : 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    )
    socket.once('end', () => socket.end())
  })
  const child = await gateway(t, house, { DRAIN_TIMEOUT: '5m' })
  await rawClient(t, child.port)
  const idle = await rawClient(t, child.port)
  idle.send('GET /api/house HTTP/1.1\r\nHost: a\r\n\r\n')
  await idle.receive('200 OK')
  const webSocket = await rawClient(t, child.port)
  webSocket.send(handshake('/api/house'))
  await webSocket.receive('101')
  child.kill('SIGTERM')
  const { code, tookMs } = await timed(child)
  t.is(code, 0)
  t.true(tookMs < 60_000, `it took ${tookMs} ms`)
})

test('a download in progress is finished, though its head promised to keep the connection', async (t) => {
  const house = await httpUpstream(t, (_incoming, response) => {
    response.writeHead(200, { 'Content-Length': 10 })
    response.write('hello')
    setTimeout(() => response.end('world'), 1000)
  })
  const child = await gateway(t, house, { DRAIN_TIMEOUT: '5m' })
  const client = await rawClient(t, child.port)
  client.send('GET /api/house HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.receive('hello')
  child.kill('SIGTERM')
  const ended = timed(child)
  t.regex((await client.ended()).text, /helloworld$/)
  const { code, tookMs } = await ended
  t.is(code, 0)
  t.true(tookMs < 60_000, `it took ${tookMs} ms`)
})

test('a request that comes on an idle connection after the doors have closed is answered, and told to close', async (t) => {
  const house = await slowHouse(t)
  const child = await gateway(t, house, { DRAIN_DELAY: '300ms', DRAIN_TIMEOUT: '20s' })
  const client = await rawClient(t, child.port)
  client.send('GET /api/house/1 HTTP/1.1\r\nHost: a\r\n\r\n')
  t.regex(await client.receive('done'), /\r\nKeep-Alive: timeout=5\r\n/)
  child.kill('SIGTERM')
  await until(() => refusesConnections(child.url), 'connections are refused')
  await delay(1000)
  client.send('POST /api/house/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx')
  t.regex((await client.ended()).text, /\r\nconnection: close\r\n(?:.|\s)*done$/i)
  t.is((await child.exited).code, 0)
})

test('a second signal right behind the first changes nothing', async (t) => {
  const house = await slowHouse(t)
  const child = await gateway(t, house, { DRAIN_TIMEOUT: '5s' })
  const long = request(`${child.url}/api/house/800`)
  await until(() => house.connections.open === 1, 'the request is at the house')
  child.kill('SIGINT')
  child.kill('SIGTERM')
  await delay(100)
  child.kill('SIGINT')
  t.is((await long).body, 'done')
  t.is((await child.exited).code, 0)
})

test('a person who asks again after two seconds is let out at once', async (t) => {
  const house = await slowHouse(t)
  const child = await gateway(t, house, { DRAIN_TIMEOUT: '5m' })
  request(`${child.url}/api/house/600000`).catch(() => {})
  await until(() => house.connections.open === 1, 'the request is at the house')
  const again = setInterval(() => child.kill('SIGINT'), 200)
  t.teardown(() => clearInterval(again))
  t.is((await child.exited).code, 130)
})

test('in production the last lines of the log are written before the process ends', async (t) => {
  const house = await slowHouse(t)
  const child = await gateway(t, house, {
    NODE_ENV: 'production',
    PUBLIC_URL: 'https://www.jinmini.com',
    DRAIN_DELAY: '0s',
  })
  const long = request(`${child.url}/api/house/300`, { headers: { 'X-Request-Id': 'the-last-request' } })
  await until(() => house.connections.open === 1, 'the request is at the house')
  child.kill('SIGTERM')
  t.is((await long).status, 200)
  t.is((await child.exited).code, 0)
  const lines = child.output().trimEnd().split('\n')
  t.is(JSON.parse(lines.at(-1)!).requestId, 'the-last-request')
})
