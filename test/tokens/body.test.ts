import http from 'node:http'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { createBegin } from '../../src/door/begin.ts'
import { createErrorBoundary } from '../../src/door/error-boundary.ts'
import { createIdentifyCaller } from '../../src/door/forwarded.ts'
import { createReadBody } from '../../src/tokens/body.ts'
import type { TokenState } from '../../src/tokens/state.ts'
import { recordedLog } from '../support/hand-source.ts'
import { rawClient } from '../support/raw-client.ts'

async function reader(t: ExecutionContext, timeoutMs: number) {
  const app = new Koa<TokenState>()
  app.use(createBegin({ identify: createIdentifyCaller([]) }))
  app.use(createErrorBoundary({ log: recordedLog(), draining: () => false }))
  app.use(createReadBody(timeoutMs))
  app.use((ctx) => {
    ctx.body = ctx.state.body
  })
  const server = http.createServer(app.callback()).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

const head = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n'

test('a body that does not come is not waited for', async (t) => {
  const client = await rawClient(t, await reader(t, 100))
  client.send(head)
  const { text } = await client.ended()
  t.regex(text, /^HTTP\/1\.1 408 /)
  t.regex(text, /\r\nConnection: close\r\n/i)
})

test('neither is one that trickles', async (t) => {
  const client = await rawClient(t, await reader(t, 300))
  client.send(head)
  const dripping = setInterval(() => client.send(' '), 50)
  t.teardown(() => clearInterval(dripping))
  t.regex((await client.ended()).text, /^HTTP\/1\.1 408 /)
})

test('one that comes in time is read, in however many pieces', async (t) => {
  const client = await rawClient(t, await reader(t, 10_000))
  client.send(`${head}{"token"`)
  client.send(':"abc"')
  client.send('}')
  t.regex(await client.receive('"abc"'), /^HTTP\/1\.1 200 /)
})
