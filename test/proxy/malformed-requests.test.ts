import test from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { rawUpstream } from '../support/upstream.ts'

const get = 'GET /api/house HTTP/1.1\r\nHost: x\r\n'
const post = 'POST /api/house HTTP/1.1\r\nHost: x\r\n'

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
