import test from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { scriptedUpstream } from '../support/upstream.ts'

const good = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood'
const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'

test('a reply that a house pushes onto an idle connection answers nobody (GHSA-35p6-xmwp-9g52)', async (t) => {
  const house = await scriptedUpstream(t, (socket) => {
    socket.write(good)
    setImmediate(() => socket.write(evil))
  })
  const { port, url } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  for (let i = 1; i <= 20; i += 1) {
    client.send('GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
    while (client.received().split('good').length <= i) await request(`${url}/livez`)
  }
  t.false(client.received().includes('evil'))
})

test('a body has one length on its way to the house, however its name is spelled (CVE-2026-1525)', async (t) => {
  const house = await scriptedUpstream(t, good)
  const { port } = await startGatewayFor(t, house.origin)
  for (const names of [['CONTENT-LENGTH'], ['content-length'], ['Content-Length', 'content_length']]) {
    const client = await rawClient(t, port)
    const lines = names.map((name) => `${name}: 4\r\n`).join('')
    client.send(`POST /api/house HTTP/1.1\r\nHost: x\r\n${lines}\r\nbody`)
    await client.receive('good')
    t.is(house.requests.at(-1)!.match(/content.length/gi)?.length, 1)
  }
})

test('two lengths that differ in the case of their names are refused, not passed on (CVE-2026-1525)', async (t) => {
  const house = await scriptedUpstream(t, good)
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\ncontent-length: 40\r\n\r\nbody')
  t.regex(await client.receive('\r\n\r\n'), /^HTTP\/1\.1 400 /)
  t.deepEqual(house.requests, [])
})

test('line breaks in a target stay encoded: they never begin a header (CVE-2022-31150)', async (t) => {
  const house = await scriptedUpstream(t, good)
  const { url } = await startGatewayFor(t, house.origin)
  await request(`${url}/api/house?next=%0d%0aX-User-Id:%20admin`)
  t.is(house.requests[0]!.split('\r\n')[0], 'GET /?next=%0d%0aX-User-Id:%20admin HTTP/1.1')
  t.notRegex(house.requests[0]!, /^x-user-id/im)
})
