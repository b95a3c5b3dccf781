import http from 'node:http'
import test from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'

test('50 requests over one client connection open one upstream connection', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.end('ok'))
  const { url } = await startGatewayFor(t, house.origin)
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  for (let i = 0; i < 50; i += 1) t.is(await get(`${url}/api/house`, agent), 'ok')
  t.is(house.connections.total, 1)
})

test('200 aborted clients leave no upstream connection in use within 2 s', async (t) => {
  const house = await httpUpstream(t, () => {})
  const { url, access } = await startGatewayFor(t, house.origin)
  const requests = Array.from({ length: 200 }, () => {
    const request = http.get(`${url}/api/house`)
    request.on('error', () => {})
    return request
  })
  await until(() => house.connections.open === 200, 'all requests have reached the house')
  for (const request of requests) request.destroy()
  await until(() => house.connections.open === 0, 'the house has no connection left')
  await until(() => access.length === 200, 'every abort is in the log')
  t.true(access.every((entry) => entry.status === 499 && entry.errorCode === 'client_closed_request'))
})

function get(url: string, agent: http.Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    http
      .get(url, { agent }, (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (chunk) => (body += chunk))
        response.on('end', () => resolve(body))
      })
      .on('error', reject)
  })
}
