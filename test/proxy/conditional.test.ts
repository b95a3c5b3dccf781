import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { keepAliveAgent, request } from '../support/request.ts'
import { httpUpstream, scriptedUpstream } from '../support/upstream.ts'

// With a route that has a cache and one that has none: neither takes anything away or adds to it.
const routes = [
  ['', {}],
  [', on a route with a cache', { cache: '30s' }],
] as const

const text = Buffer.concat([Buffer.from('문지기 '.repeat(20_000)), randomBytes(1000)])
const encodings = { gzip: gzipSync, br: brotliCompressSync, zstd: zstdCompressSync }

/** A house with a file: conditions and ranges by RFC 9110, written out by hand. */
function fileHouse(t: ExecutionContext, seen: IncomingHttpHeaders[] = []) {
  const etag = '"v1"'
  const modified = 'Mon, 01 Jan 2024 00:00:00 GMT'
  const body = 'abcdefghij'
  const validators = { etag, 'last-modified': modified, 'accept-ranges': 'bytes' }
  return httpUpstream(t, ({ headers }, response): unknown => {
    seen.push(headers)
    if (headers['if-match'] !== undefined && headers['if-match'] !== etag) {
      return response.writeHead(412, { 'content-length': 0 }).end()
    }
    if (headers['if-none-match'] === etag || headers['if-modified-since'] === modified) {
      // RFC 9110 §8.6: of what a 200 would have had.
      return response.writeHead(304, { ...validators, 'content-length': body.length }).end()
    }
    const isCurrent = headers['if-range'] === undefined || headers['if-range'] === etag
    const range = isCurrent ? headers.range : undefined
    if (range === 'bytes=0-2') {
      const part = { ...validators, 'content-range': 'bytes 0-2/10', 'content-length': 3 }
      return response.writeHead(206, part).end('abc')
    }
    if (range === 'bytes=20-') {
      return response.writeHead(416, { 'content-range': 'bytes */10', 'content-length': 0 }).end()
    }
    if (range === 'bytes=0-0,9-9') {
      const parts =
        '--X\r\nContent-Range: bytes 0-0/10\r\n\r\na\r\n--X\r\nContent-Range: bytes 9-9/10\r\n\r\nj\r\n--X--\r\n'
      return response
        .writeHead(206, { ...validators, 'content-type': 'multipart/byteranges; boundary=X' })
        .end(parts)
    }
    return response.writeHead(200, { ...validators, 'content-length': body.length }).end(body)
  })
}

for (const [where, description] of routes) {
  for (const [encoding, compress] of Object.entries(encodings)) {
    test(`a ${encoding} body comes byte for byte, with what is said of it${where}`, async (t) => {
      const compressed = compress(text)
      const headers = {
        'content-encoding': encoding,
        vary: 'Accept-Encoding',
        etag: 'W/"weak"',
        'cache-control': 'no-transform, max-age=60',
      }
      const house = await httpUpstream(t, (_incoming, response) => {
        response.writeHead(200, headers).end(compressed)
      })
      const { url } = await startGatewayFor(t, house.origin, description)
      for (let round = 0; round < 2; round++) {
        const reply = await request(`${url}/api/house/x`, {
          headers: { 'accept-encoding': 'gzip, br, zstd' },
        })
        t.like(reply.headers, headers)
        t.true(Buffer.from(reply.body, 'latin1').equals(compressed))
      }
    })
  }

  test(`what the client accepts reaches the house as it is, and a plain body stays plain${where}`, async (t) => {
    const seen: IncomingHttpHeaders[] = []
    const house = await httpUpstream(t, ({ headers }, response) => {
      seen.push(headers)
      response.writeHead(200, { 'cache-control': 'no-transform', 'content-type': 'text/plain' }).end(text)
    })
    const { url } = await startGatewayFor(t, house.origin, description)
    const accept = 'gzip;q=0.5, br;q=1.0, *;q=0'
    const reply = await request(`${url}/api/house/x`, { headers: { 'accept-encoding': accept } })
    t.is(seen[0]!['accept-encoding'], accept)
    t.is(reply.headers['content-encoding'], undefined)
    t.true(Buffer.from(reply.body, 'latin1').equals(text))
    await request(`${url}/api/house/y`)
    t.is(seen[1]!['accept-encoding'], undefined)
  })

  for (const [what, headers, status, body] of [
    ['If-None-Match that holds', { 'if-none-match': '"v1"' }, 304, ''],
    ['If-None-Match that does not hold', { 'if-none-match': 'W/"v0", "v9"' }, 200, 'abcdefghij'],
    ['If-Modified-Since that holds', { 'if-modified-since': 'Mon, 01 Jan 2024 00:00:00 GMT' }, 304, ''],
    ['If-Match that holds', { 'if-match': '"v1"' }, 200, 'abcdefghij'],
    ['If-Match that does not hold', { 'if-match': '"v0"' }, 412, ''],
    ['Range', { range: 'bytes=0-2' }, 206, 'abc'],
    ['Range beyond the end', { range: 'bytes=20-' }, 416, ''],
    ['If-Range that holds', { range: 'bytes=0-2', 'if-range': '"v1"' }, 206, 'abc'],
    ['If-Range that does not hold', { range: 'bytes=0-2', 'if-range': '"v0"' }, 200, 'abcdefghij'],
  ] as const) {
    test(`${what} is the house’s to judge: ${status}${where}`, async (t) => {
      const seen: IncomingHttpHeaders[] = []
      const house = await fileHouse(t, seen)
      const { url } = await startGatewayFor(t, house.origin, description)
      const agent = keepAliveAgent(t)
      const direct = await request(house.origin, { headers })
      const reply = await request(`${url}/api/house/x`, { headers, agent })
      t.is(reply.status, status)
      t.is(reply.body, body)
      for (const name of ['etag', 'last-modified', 'content-range', 'content-length', 'accept-ranges']) {
        t.is(reply.headers[name], direct.headers[name], name)
      }
      t.like(seen[1], headers)
      // A 304 has no body whatever its Content-Length says: the connection goes on.
      t.is((await request(`${url}/api/house/z`, { agent })).body, 'abcdefghij')
    })
  }

  test(`several ranges come as the house wrote them${where}`, async (t) => {
    const house = await fileHouse(t)
    const { url } = await startGatewayFor(t, house.origin, description)
    const options = { headers: { range: 'bytes=0-0,9-9' } }
    const reply = await request(`${url}/api/house/x`, options)
    const direct = await request(house.origin, options)
    t.is(reply.status, 206)
    t.is(reply.headers['content-type'], 'multipart/byteranges; boundary=X')
    t.is(reply.body, direct.body)
  })

  test(`HEAD has the length of what GET would have, and the connection goes on${where}`, async (t) => {
    const house = await fileHouse(t)
    const { url } = await startGatewayFor(t, house.origin, description)
    const agent = keepAliveAgent(t)
    const head = await request(`${url}/api/house/x`, { method: 'HEAD', agent })
    t.is(head.headers['content-length'], '10')
    t.is(head.body, '')
    t.is((await request(`${url}/api/house/x`, { agent })).body, 'abcdefghij')
  })

  test(`a part that is cut off is cut off for the client too, and never taken for whole${where}`, async (t) => {
    const house = await scriptedUpstream(t, (socket, head) => {
      if (/^range:/im.test(head)) {
        socket.end(
          'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-99/200\r\nContent-Length: 100\r\nCache-Control: max-age=60\r\n\r\nhalf',
        )
      } else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole')
    })
    const { port, url } = await startGatewayFor(t, house.origin, description)
    const client = await rawClient(t, port)
    client.send('GET /api/house/x HTTP/1.1\r\nHost: a\r\nRange: bytes=0-99\r\n\r\n')
    const { text: received } = await client.ended()
    t.regex(received, /^HTTP\/1\.1 206 [\s\S]*content-length: 100\r\n[\s\S]*half$/i)
    t.is((await request(`${url}/api/house/x`)).body, 'whole')
  })
}

test('a range of what is stored is the house’s to give, and what is stored stays', async (t) => {
  const seen: IncomingHttpHeaders[] = []
  const house = await fileHouse(t, seen)
  const { url } = await startGatewayFor(t, house.origin, { cache: '30s' })
  await request(`${url}/api/house/x`)
  const part = await request(`${url}/api/house/x`, { headers: { range: 'bytes=0-2' } })
  t.is(part.body, 'abc')
  t.is(part.headers['cache-status'], 'munjigi; fwd=bypass')
  t.is((await request(`${url}/api/house/x`)).body, 'abcdefghij')
  t.is(seen.length, 2)
})
