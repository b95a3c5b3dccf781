import test from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { scriptedUpstream } from '../support/upstream.ts'

test('every Host that is a host, with a port or without, is accepted', async (t) => {
  const house = await scriptedUpstream(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  const { port } = await startGatewayFor(t, house.origin)
  for (const host of [
    'a',
    'a:80',
    'a:',
    'A_b.c-d~1',
    '127.0.0.1:1',
    '[::1]',
    '[fe80::1%25eth0]:80',
    '%ED%95%9C',
    '',
  ]) {
    const client = await rawClient(t, port)
    client.send(`GET /api/house HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    t.regex((await client.ended()).text, /^HTTP\/1\.1 200 /, host)
  }
})

test('a request of HTTP/1.0 needs no Host, and one with chunks is refused and closed', async (t) => {
  const house = await scriptedUpstream(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  const { port } = await startGatewayFor(t, house.origin)
  const plain = await rawClient(t, port)
  plain.send('GET /api/house HTTP/1.0\r\n\r\n')
  t.regex((await plain.ended()).text, /^HTTP\/1\.1 200 /)
  const chunked = await rawClient(t, port)
  const head = 'POST /api/house HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked'
  chunked.send(`${head}\r\n\r\n0\r\n\r\n`)
  t.regex((await chunked.ended()).text, /^HTTP\/1\.1 400 /)
  t.is(house.requests.length, 1)
})
