import test from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { rawUpstream } from '../support/upstream.ts'

const get = 'GET /api/house HTTP/1.1\r\nHost: x\r\n'
const post = 'POST /api/house HTTP/1.1\r\nHost: x\r\n'

/** Each is sent whole; 400 and a closed connection is the answer, and the house sees nothing of it. */
const refused: Readonly<Record<string, string>> = {
  'a bad chunk size': `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\nbody\r\n0\r\n\r\n`,
  'a chunk size with a sign': `${post}Transfer-Encoding: chunked\r\n\r\n+4\r\nbody\r\n0\r\n\r\n`,
  'a chunk size with 0x': `${post}Transfer-Encoding: chunked\r\n\r\n0x4\r\nbody\r\n0\r\n\r\n`,
  'a chunk size that overflows': `${post}Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(20)}\r\nbody\r\n0\r\n\r\n`,
  'chunks that end in a bare LF': `${post}Transfer-Encoding: chunked\r\n\r\n4\nbody\n0\n\n`,
  'Content-Length and Transfer-Encoding': `${post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'Transfer-Encoding and Content-Length': `${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
  'two lengths': `${post}Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody!`,
  'two lengths in one header': `${post}Content-Length: 4, 5\r\n\r\nbody!`,
  'a length with a sign': `${post}Content-Length: +4\r\n\r\nbody`,
  'a negative length': `${post}Content-Length: -4\r\n\r\nbody`,
  'a length in hexadecimal': `${post}Content-Length: 0x4\r\n\r\nbody`,
  'a length with a space inside': `${post}Content-Length: 1 0\r\n\r\nbody`,
  'a length that overflows': `${post}Content-Length: ${'9'.repeat(30)}\r\n\r\nbody`,
  'a transfer coding whose last is not chunked': `${post}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`,
  'a transfer coding beneath chunked': `${post}Transfer-Encoding: gzip, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n`,
  'an unknown transfer coding': `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  'a transfer coding behind a vertical tab': `${post}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
  'chunked twice': `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a folded header': `${get}X-A: a\r\n b\r\n\r\n`,
  'a folded first header': 'GET /api/house HTTP/1.1\r\n Host: x\r\n\r\n',
  'a bare CR in a header': `${get}X-A: a\rb\r\n\r\n`,
  'a bare LF in a header': `${get}X-A: a\nX-User-Id: evil\r\n\r\n`,
  'a head that ends in bare LFs': 'GET /api/house HTTP/1.1\nHost: x\n\n',
  'a space before the colon': `${get}X-A : a\r\n\r\n`,
  'a space before the colon of the length': `${post}Content-Length : 4\r\n\r\nbody`,
  'a header without a colon': `${get}nonsense\r\n\r\n`,
  'a header without a name': `${get}: value\r\n\r\n`,
  'a bad character in the name of a header': `${get}X(A): a\r\n\r\n`,
  'NUL in a header': `${get}X-A: a\0b\r\n\r\n`,
  'NUL in the target': 'GET /api/house?\0 HTTP/1.1\r\nHost: x\r\n\r\n',
  'a tab in the target': 'GET /api/house?a=\tb HTTP/1.1\r\nHost: x\r\n\r\n',
  'DEL in a header': `${get}X-A: a\x7fb\r\n\r\n`,
  'two Host headers': 'GET /api/house HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n',
  'two equal Host headers': 'GET /api/house HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n',
  'no Host header': 'GET /api/house HTTP/1.1\r\n\r\n',
  'HTTP/0.9': 'GET /api/house\r\n\r\n',
  'HTTP/2.0 in the request line': 'GET /api/house HTTP/2.0\r\nHost: x\r\n\r\n',
  'HTTP/1.2': 'GET /api/house HTTP/1.2\r\nHost: x\r\n\r\n',
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'another protocol': '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
  'a method that is none': 'G@T /api/house HTTP/1.1\r\nHost: x\r\n\r\n',
  'a space in the target': 'GET /api/house /x HTTP/1.1\r\nHost: x\r\n\r\n',
  'a target that is no path': 'GET api/house HTTP/1.1\r\nHost: x\r\n\r\n',
}

for (const [name, bytes] of Object.entries(refused)) {
  test(`${name}: 400 and the connection is closed, the house sees nothing`, async (t) => {
    let seen = ''
    const house = await rawUpstream(t, (socket) => {
      socket.on('data', (chunk) => {
        seen += chunk.toString('latin1')
      })
    })
    const { port, url, access } = await startGatewayFor(t, house.origin, { timeout: '2s' })
    const client = await rawClient(t, port)
    client.send(bytes)
    const text = await client.receive('\r\n\r\n')
    t.regex(text, /^HTTP\/1\.1 400 /)
    t.regex(text, /connection: close\r\n/i)
    client.socket.end()
    t.is((await client.ended()).text.match(/HTTP\/1\.1 \d/g)?.length, 1, 'one answer')
    t.is(seen, '')
    t.true(access.length > 0, 'it is in the log')
    t.is((await request(`${url}/livez`)).status, 200)
  })
}

test('a bad chunk in the middle of an upload: the house never sees the end of it', async (t) => {
  let seen = ''
  const house = await rawUpstream(t, (socket) => {
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1')
      if (seen.includes('first')) socket.emit('begun')
    })
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(`${post}Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n`)
  while (!seen.includes('first')) await new Promise((resolve) => setTimeout(resolve, 5))
  client.send('zz\r\nsecond\r\n0\r\n\r\n')
  t.regex(await client.receive('\r\n\r\n'), /^HTTP\/1\.1 400 /)
  await client.ended()
  t.false(seen.includes('second'))
  t.false(seen.includes('0\r\n\r\n'))
})

for (const [name, bytes] of Object.entries({
  'one header of 20 KB': `${get}X-A: ${'a'.repeat(20_000)}\r\n\r\n`,
  'many headers of 20 KB together': `${get}${`X-A: ${'a'.repeat(90)}\r\n`.repeat(220)}\r\n`,
})) {
  test(`${name}: 431 and the connection is closed, the house sees nothing`, async (t) => {
    const house = await rawUpstream(t, () => {})
    const { port } = await startGatewayFor(t, house.origin)
    const client = await rawClient(t, port)
    client.send(bytes)
    t.regex(await client.receive('\r\n\r\n'), /^HTTP\/1\.1 431 /)
    t.is(house.connections.total, 0)
  })
}

test('bytes behind a whole request are not sent to the house', async (t) => {
  let seen = ''
  const house = await rawUpstream(t, (socket) => {
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1')
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(`${post}Content-Length: 4\r\n\r\nbodytrailing garbage\r\n\r\n`)
  await client.receive('ok')
  await client.ended()
  t.false(seen.includes('garbage'))
  t.is(seen.match(/HTTP\/1\.1/g)?.length, 1)
})

test('empty lines before a request are skipped', async (t) => {
  const house = await rawUpstream(t, (socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(`\r\n\r\n${get}\r\n`)
  t.regex(await client.receive('ok'), /^HTTP\/1\.1 200 /)
})
