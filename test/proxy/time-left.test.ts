import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { httpUpstream, scriptedUpstream } from '../support/upstream.ts'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const timeLeft = (head: string) => Number(/^x-request-timeout-ms: (\d+)\r$/im.exec(head)?.[1])

test('a house is told how long its reply is waited for', async (t) => {
  const house = await scriptedUpstream(t, ok)
  const { url } = await startGatewayFor(t, house.origin, { timeout: '30s' })
  await request(`${url}/api/house`)
  await request(`${url}/api/house`, { method: 'POST', body: 'x' })
  t.deepEqual(house.requests.map(timeLeft), [30_000, 30_000])
})

test('a retry is told what is left', async (t) => {
  const house = await scriptedUpstream(t, (socket, _head, count) => {
    if (count === 1) setTimeout(() => socket.resetAndDestroy(), 200)
    else socket.write(ok)
  })
  const { url } = await startGatewayFor(t, house.origin, { timeout: '60s' })
  t.is((await request(`${url}/api/house`)).body, 'ok')
  const [first = 0, second = 0] = house.requests.map(timeLeft)
  t.is(first, 60_000)
  t.true(second <= 59_801 && second > 0, `${second}`)
})

test('an upload’s time begins when all of it is there', async (t) => {
  const house = await httpUpstream(t, async (incoming, response) => {
    await incoming.toArray()
    response.end(incoming.headers['x-request-timeout-ms'])
  })
  const { port } = await startGatewayFor(t, house.origin, { timeout: '20s' })
  const client = await rawClient(t, port)
  client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na')
  await delay(100)
  client.send('b')
  t.regex(await client.receive(/\r\n\r\n20000$/), /^HTTP\/1\.1 200 /)
})

for (const name of ['X-Request-Timeout-Ms', 'x_request_timeout_ms', 'X-Mirrored']) {
  test(`what a client says under ${name} is not passed on`, async (t) => {
    const house = await scriptedUpstream(t, ok)
    const { url } = await startGatewayFor(t, house.origin)
    await request(`${url}/api/house`, { headers: { [name]: '1' } })
    t.false(new RegExp(`^${name}: 1\r$`, 'im').test(house.requests[0]!))
    t.is(timeLeft(house.requests[0]!), 15_000)
  })
}
