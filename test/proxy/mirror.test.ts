import type http from 'node:http'
import type { ExecutionContext } from 'ava'
import { calmTest as test } from '../support/calm.ts'
import { startGateway } from '../support/gateway.ts'
import { startIssuer } from '../support/issuer.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream, scriptedUpstream } from '../support/upstream.ts'
import { openWebSocket, webSocketHouse } from '../support/websocket.ts'

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

/** Notes down what it is asked. */
async function listener(t: ExecutionContext, answer: (response: http.ServerResponse) => void) {
  const seen: Seen[] = []
  const house = await httpUpstream(t, async (incoming, response) => {
    const { method = '', url = '', headers } = incoming
    const chunks = await incoming.toArray().catch(() => undefined)
    if (chunks === undefined) return
    seen.push({ method, url, headers, body: Buffer.concat(chunks).toString('latin1') })
    answer(response)
  })
  return { ...house, seen }
}

const ok = (response: http.ServerResponse) => void response.end('ok')

async function startWithMirror(
  t: ExecutionContext,
  origins: { readonly users?: string; readonly mirror: string },
  words: Readonly<Record<string, unknown>> = {},
  env: Readonly<Record<string, string>> = {},
  mirrorWords: Readonly<Record<string, unknown>> = {},
) {
  const users = await listener(t, ok)
  const gateway = await startGateway(t, {
    env,
    file: {
      services: {
        users: {
          urls: origins.users ?? users.origin,
          path: '/api/users',
          strip: '/api',
          auth: 'none',
          openapi: false,
          'mirror-to': 'copy',
          ...words,
        },
        copy: { urls: origins.mirror, openapi: false, ...mirrorWords },
      },
    },
  })
  return { ...gateway, users: users.seen }
}

test('the mirror is sent what the house is sent, once, with a mark', async (t) => {
  const mirror = await listener(t, ok)
  const { url, users, access } = await startWithMirror(t, { mirror: mirror.origin })
  t.is((await request(`${url}/api/users/1?a=b`, { headers: { 'X-Own': 'word' } })).body, 'ok')
  t.is((await request(`${url}/api/users`, { method: 'POST', body: 'a body' })).body, 'ok')
  await request(`${url}/api/users`, {
    method: 'PUT',
    body: 'in chunks',
    headers: { 'transfer-encoding': 'chunked' },
  })
  await until(() => mirror.seen.length === 3, 'the mirror has all of them')
  const essence = ({ method, url, body }: Seen) => ({ method, url, body })
  t.deepEqual(mirror.seen.map(essence).sort(byMethod), users.map(essence).sort(byMethod))
  const [copy, original] = [mirror.seen, users].map(
    (seen) => seen.find(({ method }) => method === 'GET')!.headers,
  )
  t.is(copy!['x-mirrored'], '1')
  t.is(original!['x-mirrored'], undefined)
  t.is(copy!['x-own'], 'word')
  t.is(copy!['x-request-id'], original!['x-request-id'])
  t.is(access.length, 3)
  t.true(access.every(({ attempts }) => attempts === 1))
})

const byMethod = (a: { method: string }, b: { method: string }) => (a.method < b.method ? -1 : 1)

test('the mirror is told who is calling, by the gateway alone', async (t) => {
  const issuer = await startIssuer(t)
  const mirror = await listener(t, ok)
  const { url } = await startWithMirror(
    t,
    { mirror: mirror.origin },
    { auth: 'required' },
    { TRUSTED_ISSUERS: issuer.setting },
  )
  const headers = { 'x-mirrored': 'me', 'x-user-id': 'somebody' }
  t.is((await request(`${url}/api/users`, { headers })).status, 401)
  const authorization = `Bearer ${await issuer.token({ sub: 'user-1' })}`
  t.is((await request(`${url}/api/users`, { headers: { ...headers, authorization } })).status, 200)
  await until(() => mirror.seen.length === 1, 'the mirror has it')
  t.is(mirror.seen[0]!.headers['x-user-id'], 'user-1')
  t.is(mirror.seen[0]!.headers['x-mirrored'], '1')
  t.is(mirror.seen.length, 1, 'and nothing of the one that was turned away')
})

test('so many per cent are mirrored', async (t) => {
  const mirror = await listener(t, ok)
  const { url } = await startWithMirror(t, { mirror: mirror.origin }, { 'mirror-percent': '30%' })
  for (let sent = 0; sent < 400; sent += 40) {
    await Promise.all(Array.from({ length: 40 }, () => request(`${url}/api/users`)))
  }
  await request(`${url}/api/users`)
  // Seven standard deviations either way.
  t.true(mirror.seen.length > 55 && mirror.seen.length < 185, `${mirror.seen.length} of 400`)
})

test('a body of more than 64 KB is not mirrored, whether it says its length or not', async (t) => {
  const mirror = await listener(t, ok)
  const { url, users } = await startWithMirror(t, { mirror: mirror.origin })
  const most = Buffer.alloc(64 * 1024, 'x')
  for (const body of [Buffer.alloc(most.length + 1, 'x'), most]) {
    await request(`${url}/api/users`, { method: 'POST', body })
    await request(`${url}/api/users`, { method: 'POST', body, headers: { 'transfer-encoding': 'chunked' } })
  }
  t.is(users.length, 4)
  await until(() => mirror.seen.length === 2, 'the mirror has those that fit')
  t.true(mirror.seen.every(({ body }) => body.length === most.length))
})

test('an upload that its client breaks off is not mirrored', async (t) => {
  const mirror = await listener(t, ok)
  const { port, url, access } = await startWithMirror(t, { mirror: mirror.origin })
  const client = await rawClient(t, port)
  client.send('POST /api/users HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf')
  await new Promise((resolve) => setTimeout(resolve, 50))
  client.socket.destroy()
  await until(() => access.length === 1, 'it has left')
  await request(`${url}/api/users/after`)
  await until(() => mirror.seen.length > 0, 'the mirror has the next one')
  t.deepEqual(
    mirror.seen.map((one) => one.url),
    ['/users/after'],
  )
})

test('a mirror that is not there, resets, or says nothing is nobody’s affair', async (t) => {
  const mirrors = {
    refuses: await deadOrigin(),
    resets: (await scriptedUpstream(t, (socket) => void socket.resetAndDestroy())).origin,
    silent: (await scriptedUpstream(t, () => {})).origin,
    babbles: (await scriptedUpstream(t, 'HTTP/1.1 000 Oops\r\n\r\n')).origin,
  }
  for (const [name, mirror] of Object.entries(mirrors)) {
    const { url, access, lines, users } = await startWithMirror(t, { mirror }, {}, {}, { timeout: '200ms' })
    for (const method of ['GET', 'POST']) {
      const reply = await request(`${url}/api/users`, { method, ...(method === 'POST' && { body: 'x' }) })
      t.is(reply.body, 'ok', name)
    }
    const told = () => lines.filter(({ message }) => message.startsWith('mirror: copy'))
    await until(() => told().length === 2, `${name} is noted`)
    t.true(told().every(({ level }) => level === 'debug'))
    t.is(users.length, 2)
    t.true(access.every(({ status, attempts }) => status === 200 && attempts === 1))
  }
})

test('a mirror is asked once, even where the original is sent again', async (t) => {
  const mirror = await scriptedUpstream(t, (socket) => void socket.resetAndDestroy())
  let count = 0
  const house = await scriptedUpstream(t, (socket) => {
    count += 1
    if (count === 1) socket.resetAndDestroy()
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const { url, lines } = await startWithMirror(t, { users: house.origin, mirror: mirror.origin })
  t.is((await request(`${url}/api/users`)).body, 'ok')
  await until(() => lines.some(({ message }) => message.startsWith('mirror:')), 'the mirror has failed')
  t.is(house.requests.length, 2)
  t.is(mirror.requests.length, 1)
})

test('a mirror that answers nothing gets a hundred copies at a time and no more', async (t) => {
  const mirror = await scriptedUpstream(t, () => {})
  const { url, lines } = await startWithMirror(t, { mirror: mirror.origin })
  for (let sent = 0; sent < 120; sent += 40) {
    const replies = await Promise.all(Array.from({ length: 40 }, () => request(`${url}/api/users`)))
    t.true(replies.every(({ body }) => body === 'ok'))
  }
  t.is(lines.filter(({ message }) => message.includes('takes no more copies')).length, 20)
  await until(() => mirror.requests.length === 100, 'the mirror has a hundred')
})

test('nothing is mirrored to a service that asks for more of its callers', async (t) => {
  const mirror = await listener(t, ok)
  const { url, lines } = await startWithMirror(t, { mirror: mirror.origin }, {}, {}, { auth: 'required' })
  await request(`${url}/api/users`)
  t.true(lines.some(({ message }) => message.includes('asks more of its callers than /api/users does')))
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.is(mirror.seen.length, 0)
})

test('a WebSocket is not mirrored', async (t) => {
  const [house, mirror] = [await webSocketHouse(t), await webSocketHouse(t)]
  const { url } = await startWithMirror(t, { users: house.origin, mirror: mirror.origin })
  await openWebSocket(t, `${url}/api/users`)
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.is(mirror.connections.total, 0)
})
