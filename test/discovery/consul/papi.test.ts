import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'ava'
import Consul from 'consul'
import { repairTransport } from '../../../src/discovery/consul/papi.ts'

test('a finished request does not hold its reply', async (t) => {
  const server = createServer((_request, response) => {
    response.setHeader('Content-Type', 'application/json').end('{"consul":[]}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const consul = new Consul({ baseUrl: `http://127.0.0.1:${port}/v1` } as object)
  repairTransport(consul)
  const { promise: seen, resolve } = Promise.withResolvers<object>()
  Object(consul)._ext('onRequest', (request: object, next: () => void) => {
    resolve(request)
    next()
  })

  t.deepEqual(await consul.catalog.service.list(), { consul: [] })
  // The reply closes a moment after it has been handed over.
  await new Promise(setImmediate)
  t.like(await seen, { res: undefined, _resolve: undefined, _reject: undefined })
})
