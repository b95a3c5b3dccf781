import { calmTest as test } from '../support/calm.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { httpUpstream } from '../support/upstream.ts'

const env = { IDLE_TIMEOUT: '1s' }
const head = 'POST /api/house HTTP/1.1\r\nHost: gateway\r\nContent-Length: 10000\r\n\r\n'

test('a body that comes a few bytes at a time is cut with 408, though its client is never silent', async (t) => {
  const house = await httpUpstream(t, (request) => void request.resume())
  const { port } = await startGatewayFor(t, house.origin, {}, env)
  const client = await rawClient(t, port)
  client.send(head)
  const drip = setInterval(() => client.send('ab'), 100)
  t.teardown(() => clearInterval(drip))
  t.regex(await client.receive('\r\n\r\n'), /^HTTP\/1\.1 408 /)
})

test('a body that began well may falter, and takes as long as it takes', async (t) => {
  const house = await httpUpstream(t, (request, response) => {
    request.resume()
    request.on('end', () => response.end('ok'))
  })
  const { port } = await startGatewayFor(t, house.origin, {}, env)
  const client = await rawClient(t, port)
  client.send(`${head}${'x'.repeat(9980)}`)
  let left = 20
  const drip = setInterval(() => {
    client.send('y')
    left -= 1
    if (left === 0) clearInterval(drip)
  }, 100)
  t.teardown(() => clearInterval(drip))
  t.regex(await client.receive('\r\n\r\n'), /^HTTP\/1\.1 200 /)
})
