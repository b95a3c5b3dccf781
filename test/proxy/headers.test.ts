import type { IncomingMessage } from 'node:http'
import test, { type ExecutionContext } from 'ava'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { httpUpstream, scriptedUpstream } from '../support/upstream.ts'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Sends these very header lines and gives the lines that the house got. */
async function asSeen(
  t: ExecutionContext,
  lines: readonly string[],
  method = 'GET',
): Promise<readonly string[]> {
  const house = await scriptedUpstream(t, ok)
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(`${method} /api/house HTTP/1.1\r\n${['Host: x', ...lines].join('\r\n')}\r\n\r\n`)
  await client.receive('ok')
  return house.requests[0]!.trim().split('\r\n').slice(1)
}

/** Sends these header lines as the house and gives the lines that the client got. */
async function asReceived(t: ExecutionContext, lines: readonly string[]): Promise<readonly string[]> {
  const house = await scriptedUpstream(
    t,
    `HTTP/1.1 200 OK\r\n${[...lines, 'Content-Length: 2'].join('\r\n')}\r\n\r\nok`,
  )
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send('GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
  const text = await client.receive(/\r\n\r\nok$/)
  return text.split('\r\n\r\n')[0]!.split('\r\n').slice(1)
}

const names = (lines: readonly string[]) => lines.map((line) => line.split(':')[0]!.toLowerCase())

test('hop-by-hop headers of a request go no further', async (t) => {
  const seen = await asSeen(t, [
    'Connection: keep-alive, X-Hop',
    'X-Hop: 1',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'Proxy-Authorization: Basic Zm9v',
    'TE: trailers',
    'Trailer: X-Sum',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
    'X-End: 1',
  ])
  const forbidden = 'x-hop|keep-alive|proxy-connection|proxy-authorization|te|trailer|upgrade|http2-settings'
  t.deepEqual(
    names(seen).filter((name) => forbidden.split('|').includes(name)),
    [],
  )
  t.true(seen.includes('X-End: 1'))
  t.true(seen.includes('connection: keep-alive'), "the connection's own header, not the client's")
})

test('every header that Connection names goes no further, in several lines and any case', async (t) => {
  const seen = await asSeen(t, [
    'Connection: x-One',
    'X-ONE: 1',
    'connection: close , X-two',
    'x-two: 2',
    'X-Three: 3',
  ])
  t.deepEqual(
    names(seen).filter((name) => /^x-(one|two|three)$/.test(name)),
    ['x-three'],
  )
})

test('Connection cannot name away what the gateway itself says', async (t) => {
  const seen = names(
    await asSeen(t, ['Connection: x-request-id, x-forwarded-for, forwarded, via, host, content-length']),
  )
  for (const name of ['x-request-id', 'x-forwarded-for', 'forwarded', 'via', 'host']) {
    t.true(seen.includes(name), name)
  }
})

test('Connection cannot name away the length of a body', async (t) => {
  const house = await httpUpstream(t, async (incoming, response) => {
    response.end(Buffer.concat(await incoming.toArray()))
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(
    'POST /api/house HTTP/1.1\r\nHost: x\r\nConnection: content-length\r\nContent-Length: 8\r\n\r\nthe body',
  )
  t.regex(await client.receive('the body'), /^HTTP\/1\.1 200 /)
})

test('a client that asks for its connection to be closed does not close the one to the house', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.end('ok'))
  const { url } = await startGatewayFor(t, house.origin)
  for (let i = 0; i < 10; i += 1) await request(`${url}/api/house`, { headers: { connection: 'close' } })
  t.is(house.connections.total, 1)
})

test('other headers of a request arrive as they were sent: names, order, repetition', async (t) => {
  const sent = [
    'X-B: 1',
    'x-a: 2',
    'X-B: 3',
    'Cookie: a=1',
    'Cookie: b=2',
    'Accept: */*',
    'Empty:',
    'Authorization: Bearer x',
  ]
  const seen = await asSeen(t, sent)
  t.deepEqual(
    seen
      .filter((line) => /^(x-[ab]|cookie|accept|empty|authorization):/i.test(line))
      .map((line) => line.trim()),
    sent,
  )
})

test('bytes beyond ASCII in a header arrive unchanged at the house', async (t) => {
  const name = Buffer.from('김한글 é').toString('latin1')
  const seen = await asSeen(t, [`X-Name: ${name}`, 'X-Latin: \xe9\xff\x80'])
  t.true(seen.includes(`X-Name: ${name}`))
  t.true(seen.includes('X-Latin: \xe9\xff\x80'))
})

test('bytes beyond ASCII in a header arrive unchanged at the client', async (t) => {
  const name = Buffer.from('attachment; filename="한글 é.pdf"').toString('latin1')
  const received = await asReceived(t, [`Content-Disposition: ${name}`, 'X-Latin: \xe9\xff\x80'])
  t.true(received.includes(`content-disposition: ${name}`))
  t.true(received.includes('x-latin: \xe9\xff\x80'))
})

test('hop-by-hop headers of a reply go no further', async (t) => {
  const received = await asReceived(t, [
    'Connection: keep-alive, X-Hop',
    'X-Hop: 1',
    'Keep-Alive: timeout=1',
    'Proxy-Connection: keep-alive',
    'Proxy-Authenticate: Basic',
    'TE: trailers',
    'Trailer: X-Sum',
    'Upgrade: h2c',
    'X-End: 1',
  ])
  t.deepEqual(
    names(received).filter((name) => /^(x-hop|proxy-.*|te|trailer|upgrade)$/.test(name)),
    [],
  )
  t.true(received.includes('x-end: 1'))
  t.false(received.includes('Keep-Alive: timeout=1'))
})

test('a repeated header of a reply stays repeated: every Set-Cookie arrives', async (t) => {
  const received = await asReceived(t, [
    'Set-Cookie: a=1; Path=/',
    'Set-Cookie: b=2, with a comma',
    'Link: </1>',
    'Link: </2>',
    'Vary: Accept',
    'Vary: Origin',
  ])
  t.deepEqual(
    received.filter((line) => /^(set-cookie|link|vary)/.test(line)),
    [
      'set-cookie: a=1; Path=/',
      'set-cookie: b=2, with a comma',
      'link: </1>',
      'link: </2>',
      'vary: Accept',
      'vary: Origin',
    ],
  )
})

test('headers named like members of every object are headers like any other', async (t) => {
  const lines = ['__proto__: 1', 'constructor: 2', 'hasOwnProperty: 3', 'toString: 4']
  const received = await asReceived(t, lines)
  for (const line of lines) t.true(received.includes(line.toLowerCase()), line)
  const seen = await asSeen(t, lines)
  for (const line of lines) t.true(seen.includes(line), line)
})

test('the house is told its own host, and the name that the client used beside it', async (t) => {
  const house = await scriptedUpstream(t, ok)
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send('GET /api/house HTTP/1.1\r\nHost: www.jinmini.com\r\n\r\n')
  await client.receive('ok')
  const seen = house.requests[0]!.split('\r\n')
  t.true(seen.includes(`host: 127.0.0.1:${house.port}`))
  t.true(seen.includes('x-forwarded-host: www.jinmini.com'))
  t.true(seen.includes('x-forwarded-proto: http'))
  t.true(seen.includes('x-forwarded-for: 127.0.0.1'))
  t.true(seen.includes('forwarded: for=127.0.0.1;host="www.jinmini.com";proto=http'))
})

test('the gateway adds itself to Via', async (t) => {
  t.true((await asSeen(t, [])).includes('via: 1.1 munjigi'))
  t.true(
    (await asSeen(t, ['Via: 1.0 first', 'Via: 1.1 second'])).includes(
      'via: 1.0 first, 1.1 second, 1.1 munjigi',
    ),
  )
})

test('a well-formed X-Request-Id is adopted, passed on and told to the client', async (t) => {
  const house = await httpUpstream(t, (incoming, response) => {
    response.setHeader('X-Request-Id', 'the-house-has-no-say')
    response.end(incoming.headers['x-request-id'])
  })
  const { url, access } = await startGatewayFor(t, house.origin)
  const id = '4bf92f3577b34da6a3ce929d0e0e4736'
  const reply = await request(`${url}/api/house`, { headers: { 'x-request-id': id } })
  t.is(reply.body, id)
  t.is(reply.headers['x-request-id'], id)
  t.is(access[0]?.requestId, id)
})

for (const [name, id] of Object.entries({
  'too short': 'abc',
  'too long': 'a'.repeat(200),
  'with a space': 'abcdefgh ijk',
  'with quotes': '"abcdefghijk"',
  'beyond ASCII': 'abcdefgh\xe9',
})) {
  test(`an X-Request-Id that is ${name} is replaced by a new one`, async (t) => {
    const seen = await asSeen(t, [`X-Request-Id: ${id}`])
    const ids = seen.filter((line) => /^x-request-id:/i.test(line))
    t.is(ids.length, 1)
    t.regex(ids[0]!, /^x-request-id: [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/)
  })
}

test('what a client says under look-alikes of the names of framing is dropped', async (t) => {
  const seen = names(
    await asSeen(t, ['Content_Length: 5', 'Content.Length: 5', 'Transfer_Encoding: chunked', 'Host_: y']),
  )
  t.deepEqual(
    seen.filter((name) => name.includes('content') || name.includes('transfer')),
    [],
  )
})

test('other names with characters that are rare arrive as they were sent', async (t) => {
  const lines = ['X.Trace: 1', 'x_user: 2', "Odd!Name#$%&'*+.^`|~: 3", 'Xuser.Id: 4']
  const seen = await asSeen(t, lines)
  for (const line of lines) t.true(seen.includes(line), line)
})

test('the path is stripped and the query is left alone', async (t) => {
  const targets: string[] = []
  const house = await httpUpstream(t, (incoming: IncomingMessage, response) => {
    targets.push(incoming.url!)
    response.end()
  })
  const services = {
    users: { urls: [house.origin], path: '/api/users', strip: '/api', auth: 'none', openapi: false },
    plain: { urls: [house.origin], path: '/plain', auth: 'none', openapi: false },
    house: { urls: [house.origin], auth: 'none', openapi: false },
  }
  const { url } = await startGateway(t, { file: { services } })
  const expected: Readonly<Record<string, string>> = {
    '/api/users': '/users',
    '/api/users/': '/users/',
    '/api/users?a=1': '/users?a=1',
    '/api/users/7/posts?x=%2F&y=a%20b&&z=../..&?': '/users/7/posts?x=%2F&y=a%20b&&z=../..&?',
    '/plain/a': '/plain/a',
    '/api/house': '/',
    '/api/house?q': '/?q',
    '/api/house/a/b': '/a/b',
  }
  for (const target of Object.keys(expected)) await request(`${url}${target}`)
  t.deepEqual(targets, Object.values(expected))
})
