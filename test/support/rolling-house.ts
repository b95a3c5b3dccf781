import { createServer } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { consulSettings } from '../../src/discovery/consul/settings.ts'
import { createRegistration } from '../../src/discovery/registration.ts'
import { createConnections } from '../../src/door/connections.ts'
import { patienceMs } from './until.ts'

/**
 * A program: an instance of the service `house` on PORT, which registers itself in Consul with the tags of TAGS (JSON), prints
 * the body of every POST, and leaves at SIGTERM in the order in which the example service does.
 */
let leaving = false
const server = createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray()).toString()
  if (request.method === 'POST') process.stdout.write(`POST ${body}\n`)
  // It takes a moment, so that there is always something in flight.
  if (request.url !== '/health') await delay(30)
  if (leaving) response.setHeader('connection', 'close')
  response.end(request.url)
})
const connections = createConnections(server)
const port = Number(process.env.PORT)
server.listen(port, '127.0.0.1', () => {
  const registration = createRegistration({
    consul: consulSettings.parse({ environment: process.env, urls: new Map() }),
    service: {
      name: 'house',
      id: `house-${port}`,
      host: '127.0.0.1',
      port,
      tags: JSON.parse(process.env.TAGS ?? '[]') as string[],
      check: { path: '/health', intervalMs: 1000 },
    },
    log: { debug() {}, info() {}, warn() {}, error() {} },
  })
  process.once('SIGTERM', async () => {
    leaving = true
    connections.watch(true)
    await registration.stop()
    await delay(1000)
    await connections.close(AbortSignal.timeout(patienceMs))
    process.exit(0)
  })
  void registration.start().then(() => process.stdout.write(`registered as house-${port}\n`))
})
