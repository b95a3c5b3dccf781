import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Middleware } from 'koa'
import { createBegin } from '../../src/door/begin.ts'
import { createErrorBoundary } from '../../src/door/error-boundary.ts'
import { createIdentifyCaller } from '../../src/door/forwarded.ts'
import type { DoorState } from '../../src/door/state.ts'
import { GatewayError } from '../../src/errors.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { recordedLog } from '../support/hand-source.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { deadOrigin, httpUpstream } from '../support/upstream.ts'

const secret = 'hunter2'

/** The door with one room behind its boundary. */
async function door(t: ExecutionContext, room: Middleware<DoorState>, draining = () => false) {
  const log = recordedLog()
  const app = new Koa<DoorState>()
  app.silent = true
  app.use(createBegin({ identify: createIdentifyCaller([]) }))
  app.use(createErrorBoundary({ log, draining }))
  app.use(room)
  const server = http.createServer(app.callback()).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, log }
}

for (const [what, thrown] of Object.entries({
  'an Error': new Error(`password ${secret}`),
  'an error of another library that wants to be shown': Object.assign(new Error(`password ${secret}`), {
    status: 418,
    expose: true,
    headers: { 'X-Secret': secret },
  }),
  'a string': `password ${secret}`,
  nothing: undefined,
  null: null,
  'an object that cannot be printed': Object.create(null),
})) {
  test(`${what} that escapes is a 500 that shows nothing of it`, async (t) => {
    const { url, log } = await door(t, () => {
      throw thrown
    })
    const reply = await request(url)
    t.is(reply.status, 500)
    t.is(reply.headers['content-type'], 'application/problem+json')
    t.deepEqual(JSON.parse(reply.body), {
      type: 'about:blank',
      title: 'Internal error',
      status: 500,
      code: 'internal_error',
      request_id: reply.headers['x-request-id'],
    })
    t.false(JSON.stringify(reply).includes(secret))
    t.is(log.lines.length, 1)
    t.like(log.lines[0], { level: 'error', fields: { requestId: reply.headers['x-request-id'] } })
  })
}

test('the stack of an error that escapes is in the log', async (t) => {
  const { url, log } = await door(t, () => {
    throw new TypeError('undefined is not a function')
  })
  await request(url)
  t.regex(
    String(log.lines[0]?.fields.stack),
    /TypeError: undefined is not a function\n +at .*error-boundary\.test/,
  )
})

test('an error of the gateway is answered with its status, code, detail and headers, and is no fault to log', async (t) => {
  const { url, log } = await door(t, () => {
    throw new GatewayError('no_instance', { detail: 'No house.', headers: { 'Retry-After': '5' } })
  })
  const reply = await request(url)
  t.is(reply.status, 503)
  t.is(reply.headers['retry-after'], '5')
  t.is(reply.headers['cache-control'], 'no-store')
  t.like(JSON.parse(reply.body), { code: 'no_instance', detail: 'No house.', status: 503 })
  t.deepEqual(log.lines, [])
})

test('what a room had begun to say is not in the error', async (t) => {
  const { url } = await door(t, (ctx) => {
    ctx.status = 201
    ctx.body = { half: 'done' }
    ctx.set('Content-Encoding', 'gzip')
    ctx.set('ETag', '"1"')
    ctx.set('Content-Disposition', 'attachment')
    ctx.set('Cache-Control', 'public, max-age=3600')
    throw new GatewayError('not_found')
  })
  const reply = await request(url)
  t.is(reply.status, 404)
  t.like(JSON.parse(reply.body), { code: 'not_found' })
  for (const name of ['content-encoding', 'etag', 'content-disposition'])
    t.is(reply.headers[name], undefined, name)
  t.is(reply.headers['cache-control'], 'no-store')
})

test('a stream that a room had begun with is let go of', async (t) => {
  const stream = new PassThrough()
  const { url } = await door(t, (ctx) => {
    ctx.body = stream
    throw new GatewayError('not_found')
  })
  t.is((await request(url)).status, 404)
  t.true(stream.destroyed)
})

test('an error in a reply that has begun cuts it off', async (t) => {
  const { url } = await door(t, async (ctx) => {
    ctx.respond = false
    ctx.res.writeHead(200, { 'Content-Length': 100 })
    ctx.res.write('half')
    throw new Error('too late')
  })
  await t.throwsAsync(request(url))
})

test('a problem says that the connection closes while the gateway drains', async (t) => {
  const { url } = await door(
    t,
    () => {
      throw new GatewayError('not_found')
    },
    () => true,
  )
  t.is((await request(url)).headers.connection, 'close')
})

test('every error of the gateway is a problem document that names its request', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.socket?.destroy())
  const { url, port, access } = await startGateway(t, {
    file: {
      services: {
        reset: { urls: [house.origin], auth: 'none', openapi: false },
        refused: { urls: [await deadOrigin()], auth: 'none', openapi: false },
        closed: { urls: [house.origin], openapi: false },
      },
    },
  })
  const expected: readonly (readonly [method: string, path: string, status: number, code: string])[] = [
    ['GET', '/nowhere', 404, 'not_found'],
    ['GET', '/tokens/create', 404, 'not_found'],
    ['GET', '/api/reset/%2e%2e', 400, 'ambiguous_path'],
    ['POST', '/livez', 405, 'method_not_allowed'],
    ['DELETE', '/readyz', 405, 'method_not_allowed'],
    ['POST', '/docs', 405, 'method_not_allowed'],
    ['TRACE', '/api/reset', 405, 'method_not_allowed'],
    ['OPTIONS', '*', 400, 'ambiguous_path'],
    ['GET', '/api/closed', 401, 'authentication_required'],
    ['POST', '/api/reset', 502, 'upstream_reset'],
    ['GET', '/api/refused', 502, 'upstream_refused'],
  ]
  for (const [method, path, status, code] of expected) {
    for (const verb of method === 'GET' ? ['GET', 'HEAD'] : [method]) {
      const client = await rawClient(t, port)
      client.send(`${verb} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
      const { text } = await client.ended()
      const [head = '', body = ''] = text.split('\r\n\r\n')
      const what = `${verb} ${path}: ${head}`
      t.true(head.startsWith(`HTTP/1.1 ${status} `), what)
      t.regex(head, /^content-type: application\/problem\+json$/im, what)
      const id = /^x-request-id: (.+)$/im.exec(head)?.[1]
      t.is(access.at(-1)?.requestId, id, what)
      t.like(access.at(-1), { status, errorCode: code }, what)
      if (status === 405) t.regex(head, /^allow: .*GET/im, what)
      if (verb === 'HEAD') {
        t.is(body, '', what)
        t.true(Number(/^content-length: (\d+)$/im.exec(head)?.[1]) > 0, what)
      } else {
        t.like(JSON.parse(body), { type: 'about:blank', status, code, request_id: id }, what)
      }
    }
  }
  t.is((await fetch(`${url}/livez`)).status, 200)
})

test('a path that is quoted in an error cannot break out of it', async (t) => {
  const { port } = await startGatewayFor(t, await deadOrigin())
  const client = await rawClient(t, port)
  client.send('GET /%22,%22code%22:%22x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const { text } = await client.ended()
  t.is(JSON.parse(text.split('\r\n\r\n')[1]!).code, 'not_found')
})
