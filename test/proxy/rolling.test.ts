import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { publishedServices } from '../support/published-services.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf, request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream, scriptedUpstream } from '../support/upstream.ts'

test('an instance that leaves the address book finishes what it has begun', async (t) => {
  const held: ServerResponse[] = []
  const leaving = await httpUpstream(t, (_request, response) => {
    held.push(response)
    if (held.length === 2) response.write('first half, ')
  })
  const staying = await httpUpstream(t, (_request, response) => response.end('from the one that stays'))
  const services = publishedServices([leaving.origin])
  const { url, port } = await startGateway(t, { services })
  const thinking = request(`${url}/api/house`)
  await until(() => held.length === 1, 'the first has come')
  const client = await rawClient(t, port)
  client.send('GET /api/house HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await client.receive('first half')

  services.publish([staying.origin])
  t.is((await request(`${url}/api/house`)).body, 'from the one that stays')
  held[0]!.end('whole')
  held[1]!.end('second half')
  t.is((await thinking).body, 'whole')
  t.regex((await client.ended()).text, /second half\r\n0\r\n\r\n$/)
  await until(() => leaving.connections.open === 0, 'its connections are closed')
})

test('an upload that was begun when its instance left the address book goes on to its end', async (t) => {
  const leaving = await httpUpstream(t, async (incoming, response) => {
    response.end(Buffer.concat(await incoming.toArray()))
  })
  const services = publishedServices([leaving.origin])
  const { port } = await startGateway(t, { services })
  const client = await rawClient(t, port)
  client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfirst')
  await until(() => leaving.connections.open === 1, 'it has begun')
  services.publish([await deadOrigin()])
  client.send('final')
  t.regex(await client.receive('firstfinal'), /^HTTP\/1\.1 200 /)
})

test('a request waiting for a connection to an instance that leaves is answered by it', async (t) => {
  const leaving = await httpUpstream(t, (_request, response) => response.end('made it'))
  const services = publishedServices([leaving.origin])
  const { url } = await startGateway(t, { services })
  const replies = Array.from({ length: 20 }, () => request(`${url}/api/house`))
  await until(() => leaving.connections.total > 0, 'the first connections are being made')
  services.publish([await deadOrigin()])
  const outcomes = await Promise.all(replies)
  t.true(outcomes.some((reply) => reply.body === 'made it'))
  for (const reply of outcomes) t.true(reply.body === 'made it' || codeOf(reply) === 'upstream_refused')
})

test('a retry goes to the instances of now, when all that the request set out with are gone', async (t) => {
  const begun: Socket[] = []
  const old = await scriptedUpstream(t, (socket) => void begun.push(socket))
  const renewed = await httpUpstream(t, (_request, response) => response.end('renewed'))
  const services = publishedServices([old.origin], { balance: 'round-robin' })
  const { url } = await startGateway(t, { services })
  const reply = request(`${url}/api/house`)
  await until(() => begun.length > 0, 'it has come to the old one')
  services.publish([renewed.origin])
  // Changes that come at once after one another are put together: the new table may be a moment away.
  const replies = [reply]
  const isRenewed = () => Promise.race(replies.map(async (one) => (await one).body === 'renewed'))
  await until(() => {
    replies.push(request(`${url}/api/house`))
    return Promise.race([isRenewed(), delay(20, false)])
  }, 'the new one answers')
  for (const socket of begun) socket.resetAndDestroy()
  for (const one of replies) t.is((await one).body, 'renewed')
})

test('instances that leave one after the other while a GET tries them do not use up its retries', async (t) => {
  const held: Socket[] = []
  const houses = await Promise.all(
    ['0', '1', '2', 'the last one'].map((name, i) =>
      httpUpstream(t, (incoming, response) => {
        if (incoming.url === '/held' && i < 3) held.push(incoming.socket)
        else response.end(name)
      }),
    ),
  )
  const services = publishedServices([houses[0]!.origin], { retries: 1 })
  const { url, access } = await startGateway(t, { services })
  const reply = request(`${url}/api/house/held`)
  for (const [i, next] of ['1', '2', 'the last one'].entries()) {
    await until(() => held.length > i, `it has come to number ${i}`)
    services.publish([houses[i + 1]!.origin])
    // Words that come fast are taken in together: the next must be in the address book before this one goes.
    await until(async () => (await request(`${url}/api/house`)).body === next, 'the next is used')
    held[i]!.resetAndDestroy()
  }
  t.is((await reply).body, 'the last one')
  t.is(access.find((entry) => entry.path === '/api/house/held')?.attempts, 4)
})

test('an instance that comes back while its old connections close is used again', async (t) => {
  let held: ServerResponse | undefined
  const house = await httpUpstream(t, (incoming, response) => {
    if (incoming.url === '/held') held = response
    else response.end('ok')
  })
  const services = publishedServices([house.origin])
  const { url } = await startGateway(t, { services })
  const waiting = request(`${url}/api/house/held`)
  await until(() => held !== undefined, 'it has come')
  services.publish([await deadOrigin()])
  services.publish([house.origin])
  await until(async () => (await request(`${url}/api/house`)).body === 'ok', 'it is back')
  held!.end('finished')
  t.is((await waiting).body, 'finished')
})

test('houses that roll over one by one cost no GET and send no POST twice', async (t) => {
  const posts = new Map<string, number>()
  const start = () =>
    httpUpstream(t, async (incoming, response) => {
      const body = Buffer.concat(await incoming.toArray()).toString()
      if (body !== '') posts.set(body, (posts.get(body) ?? 0) + 1)
      response.end('ok')
    })
  let houses = [await start(), await start()]
  const services = publishedServices(houses.map((house) => house.origin))
  const { url } = await startGateway(t, { services })
  let stopping = false
  const failed: string[] = []
  const load = Array.from({ length: 6 }, async (_, lane) => {
    for (let i = 0; !stopping; i += 1) {
      const isPost = i % 3 === 0
      const reply = await request(`${url}/api/house`, isPost ? { method: 'POST', body: `${lane}-${i}` } : {})
      if (reply.status !== 200 && !isPost) failed.push(reply.body)
    }
  })
  for (let round = 0; round < 6; round += 1) {
    const next = await start()
    const [leaving, staying] = houses as [(typeof houses)[0], (typeof houses)[0]]
    houses = [staying, next]
    // The worst order: it is gone before the address book knows.
    const closed = leaving.close()
    services.publish(houses.map((house) => house.origin))
    await closed
    // As a rollout would: the next one goes only when the new one is in use.
    await until(() => next.connections.total > 0, 'the new house is used')
  }
  stopping = true
  await Promise.all(load)
  t.deepEqual(failed, [])
  t.true(posts.size > 0)
  t.true([...posts.values()].every((count) => count === 1))
})

test('a POST that was about to use an idle connection which is being reset is sent on a new one', async (t) => {
  const sockets: Socket[] = []
  const house = await scriptedUpstream(t, (socket) => {
    sockets.push(socket)
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  for (let i = 1; i <= 10; i += 1) {
    client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx')
    // Both are on their way at the same time, the request first.
    if (i > 1) sockets.at(-1)!.resetAndDestroy()
    await until(() => client.received().split('HTTP/1.1 ').length > i, 'the reply')
    t.notRegex(client.received(), /HTTP\/1\.1 50/)
  }
  t.is(house.requests.length, 10)
})
