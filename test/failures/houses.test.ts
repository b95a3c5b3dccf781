import type { Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { badReplies } from '../support/bad-replies.ts'
import { bytes, countBytes, download, upload } from '../support/big-bodies.ts'
import { cutReplies, endings } from '../support/cut-replies.ts'
import { atMost } from '../support/figures.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { inTurns } from '../support/in-turns.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf, request } from '../support/request.ts'
import { seeded } from '../support/seeded.ts'
import { until } from '../support/until.ts'
import { httpUpstream, rawUpstream, scriptedUpstream } from '../support/upstream.ts'
import { row, scaled } from './row.ts'

/** However slow the machine: nobody is turned away for it. */
const calm = { OVERLOAD_DELAY: '0s' }
const megabyte = 1024 * 1024

row('reset-before-headers', async (t, see) => {
  const kept = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
  const random = seeded(5)
  const arrivals = new Map<string, number>()
  const misbehave = (share: number) => (socket: Socket, head: string) => {
    const id = /\?id=(\S+)/.exec(head)![1]!
    arrivals.set(id, (arrivals.get(id) ?? 0) + 1)
    if (random() >= share) socket.write(kept)
    else if (random() < 0.5) socket.resetAndDestroy()
    else socket.end()
  }
  // One breaks half of its connections, fresh ones and used ones; two are well.
  const houses = await Promise.all([0.5, 0, 0].map((share) => scriptedUpstream(t, misbehave(share))))
  const { url, access } = await startGatewayFor(
    t,
    houses.map(({ origin }) => origin),
    { balance: 'round-robin', retries: 2, 'retry-budget': '100%', 'eject-after': 0 },
    calm,
  )
  const count = scaled(60, 1000)
  const kinds = [
    ...['GET', 'HEAD', 'OPTIONS', 'DELETE', 'PUT'].map((method) => ({ method, again: true })),
    ...['POST', 'PATCH', 'QUERY'].map((method) => ({ method, again: false })),
    ...['POST', 'PUT', 'PATCH', 'DELETE'].map((method) => ({
      method,
      again: false,
      body: 'a body',
      // Of DELETE node:http would not say it.
      headers: { 'content-length': '6' },
    })),
  ]
  const requests = Array.from({ length: count }, (_, i) => i).flatMap((i) =>
    kinds.map((kind) => ({ ...kind, id: `${kind.method}-${'body' in kind}-${i}` })),
  )
  const seen = { repeated: 0, once: 0, refused: 0 }
  await inTurns(requests, 16, async ({ method, again, id, ...rest }) => {
    const reply = await request(`${url}/api/house?id=${id}`, { method, ...rest })
    const times = arrivals.get(id) ?? 0
    if (again) {
      if (reply.status !== 200) t.fail(`${id}: ${reply.status}`)
      if (times > 1) seen.repeated += 1
      return
    }
    if (times !== 1) t.fail(`${id} came to a house ${times} times`)
    seen.once += 1
    if (reply.status === 200) return
    t.is(reply.status, 502)
    t.is(codeOf(reply), 'upstream_reset')
    seen.refused += 1
  })
  t.true(seen.repeated > 0 && seen.refused > 0)
  t.is(access.filter(({ status }) => status !== 200).length, seen.refused)
  const idempotent = requests.filter(({ again }) => again).length
  see(`0 of ${idempotent} idempotent requests failed, ${seen.repeated} were repeated`)
  see(`${seen.once} others: each at a house once, ${seen.refused} × 502`)
})

row('reset-in-body', async (t, see) => {
  const replies = Object.values(cutReplies)
  const random = seeded(6)
  const cuts = Array.from({ length: scaled(40, 400) }, () => Math.floor(random() * 2 * megabyte))
  const whole = Buffer.alloc(2 * megabyte, 'abcdefghijk')
  const house = await scriptedUpstream(t, (socket, head) => {
    const [, kind, which, ending] = /\/(\w+)\/(\d+)\/(\w+)/.exec(head)!
    const breakOff = () => endings[ending as keyof typeof endings](socket)
    if (kind === 'table') socket.write(replies[Number(which)]!, () => setTimeout(breakOff, 20))
    else {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${whole.length}\r\n\r\n`)
      socket.write(whole.subarray(0, Number(which)), breakOff)
    }
  })
  const gateway = await startGatewayProcess(t, house.origin, calm)
  const ask = async (path: string, version: string) => {
    const client = await rawClient(t, gateway.port)
    client.send(`GET /api/house/${path} HTTP/${version}\r\nHost: x\r\n\r\n`)
    const { text, reset } = await client.ended()
    const at = text.indexOf('\r\n\r\n') + 4
    return { head: text.slice(0, at), body: text.slice(at), reset }
  }
  const variants = replies.flatMap((reply, i) =>
    Object.keys(endings).flatMap((how) => ['1.1', '1.0'].map((version) => ({ reply, i, how, version }))),
  )
  await inTurns(variants, 4, async ({ reply, i, how, version }) => {
    const { head, body, reset } = await ask(`table/${i}/${how}`, version)
    const what = `${Object.keys(cutReplies)[i]}, ${how}, HTTP/${version}`
    t.regex(head, /^HTTP\/1\.1 200 /, what)
    if (!reply.includes('chunked')) t.is(body, 'first half', what)
    else if (version === '1.1') t.is(body, 'a\r\nfirst half\r\n', what)
    else {
      t.is(body, 'first half', what)
      t.true(reset, `${what}: a close would be a clean end`)
    }
  })
  await inTurns(cuts, 4, async (length, i) => {
    const how = i % 2 === 0 ? 'reset' : 'FIN'
    const { body } = await ask(`long/${length}/${how}`, '1.1')
    // What a reset overtakes is lost; what came is the beginning of what was sent.
    t.true(body.length <= length, `${how} after ${length} bytes: ${body.length}`)
    if (how === 'FIN') t.is(body.length, length)
    t.true(whole.toString('latin1', 0, body.length) === body, `${how} after ${length} bytes`)
  })
  t.is((await request(`${gateway.url}/livez`)).status, 200)
  t.is(gateway.process.errors(), '')
  see(
    `${variants.length} variants and ${cuts.length} cuts at random places: 0 clean ends, 0 bytes added, all aborted`,
  )
})

row('silence', async (t, see) => {
  const deadlineMs = scaled(1000, 2000)
  const idleMs = 1000
  const house = await scriptedUpstream(t, async (socket, head) => {
    if (head.includes('/body')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun')
    if (head.includes('/slow-body')) {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n')
      for (let i = 0; i < 20 && !socket.destroyed; i += 1) {
        socket.write('.')
        await delay((1.5 * deadlineMs) / 20)
      }
    }
    // A head that never ends is none, and neither are interim replies.
    if (head.includes('/slow-head')) socket.write('HTTP/1.1 200 OK\r\nX-A: ')
    const drip = head.includes('/hints') ? 'HTTP/1.1 103 Early Hints\r\n\r\n' : 'a'
    if (!head.includes('/hints') && !head.includes('/slow-head')) return
    const timer = setInterval(() => socket.write(drip), 100)
    socket.once('close', () => clearInterval(timer))
  })
  const gateway = await startGatewayProcess(t, house.origin, {
    ...calm,
    REQUEST_TIMEOUT: `${deadlineMs}ms`,
    IDLE_TIMEOUT: `${idleMs}ms`,
  })
  const times: number[] = []
  const ask = async (path: string, method: string) => {
    const startedAt = performance.now()
    const reply = await request(`${gateway.url}/api/house/${path}`, {
      method,
      ...(method === 'POST' && { body: 'a body' }),
    })
    times.push(performance.now() - startedAt)
    t.is(reply.status, 504, path)
    t.is(codeOf(reply), 'upstream_timeout', path)
  }
  // The first request of a process has its code to compile as well.
  await ask('nothing', 'GET')
  times.length = 0
  const each = scaled(1, 4)
  const variants = ['nothing', 'slow-head', 'hints'].flatMap((path) =>
    ['GET', 'POST', 'DELETE'].flatMap((method) => Array.from({ length: each }, () => ({ path, method }))),
  )
  // One after the other: how long it takes to send them all at once is not what is measured.
  await Promise.all(
    variants.map(async ({ path, method }, i) => {
      await delay(i * 30)
      await ask(path, method)
    }),
  )
  const [first, last] = [Math.min(...times), Math.max(...times)]
  t.true(first >= deadlineMs - 10, `the first came after ${first} ms: too early`)
  t.true(last <= atMost(deadlineMs * 1.1), `the last came after ${last} ms`)
  see(
    `deadline ${deadlineMs} ms, ${variants.length} requests: 504 after ${Math.round(first)} to ${Math.round(last)} ms`,
  )

  const cutAfter = await Promise.all(
    Array.from({ length: each * 4 }, async () => {
      const client = await rawClient(t, gateway.port)
      client.send('GET /api/house/body HTTP/1.1\r\nHost: x\r\n\r\n')
      await client.receive('begun')
      const startedAt = performance.now()
      const { text } = await client.ended()
      t.true(text.endsWith('\r\n\r\nbegun'), 'no byte added')
      return performance.now() - startedAt
    }),
  )
  const [soonest, latest] = [Math.min(...cutAfter), Math.max(...cutAfter)]
  t.true(soonest >= idleMs * 0.5, `cut after ${soonest} ms already`)
  t.true(latest <= atMost(idleMs * 2.5), `cut after ${latest} ms only`)
  see(
    `idle limit ${idleMs} ms: a body that stands still was cut after ${Math.round(soonest)} to ${Math.round(latest)} ms`,
  )
  t.is((await request(`${gateway.url}/api/house/slow-body`)).body, '.'.repeat(20))
  see('a body that took longer than the deadline, but never stood still, came whole')
  await until(() => house.connections.open <= 1, 'the others are let go')
})

row('bad-http', async (t, see) => {
  const good = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood'
  const names = Object.keys(badReplies)
  const house = await scriptedUpstream(t, (socket, head) => {
    const which = /\/bad\/(\d+)/.exec(head)?.[1]
    socket.write(which === undefined ? good : badReplies[names[Number(which)]!]!, 'latin1')
  })
  const gateway = await startGatewayProcess(t, house.origin, calm)
  let asked = 0
  for (const [i, name] of names.entries()) {
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
      const what = `${method}, ${name}`
      const body = method === 'POST' ? { body: 'a body' } : {}
      const reply = await request(`${gateway.url}/api/house/bad/${i}`, { method, ...body })
      t.is(reply.status, 502, what)
      if (method !== 'HEAD') {
        t.is(codeOf(reply), 'upstream_bad_response', what)
        t.notRegex(reply.body, /nothing of the kind|zz|evil|hello/, what)
      }
      t.is((await request(`${gateway.url}/api/house`)).body, 'good', what)
      asked += 1
    }
  }
  t.is(house.requests.filter((head) => head.includes('/bad/')).length, asked, 'none was sent again')
  t.is((await request(`${gateway.url}/livez`)).status, 200)
  t.is(gateway.process.errors(), '')
  t.notRegex(gateway.process.output(), /^error: /m)
  see(`${asked} of ${asked} replies: 502; the request behind each was answered, by the same process`)
})

row('early-reply', async (t, see) => {
  const size = scaled(64, 1024) * megabyte
  const seen = { bytes: 0 }
  const house = await rawUpstream(t, (socket) => {
    let head = ''
    socket.on('end', () => socket.end())
    socket.on('data', (chunk) => {
      seen.bytes += chunk.length
      if (head !== '') return
      head = chunk.toString('latin1')
      const [, status, then] = /\/(\d{3})\/(\w+)/.exec(head)!
      socket.write(`HTTP/1.1 ${status} Enough\r\nContent-Length: 6\r\n\r\nenough`)
      if (then === 'stops') socket.pause()
      if (then === 'closes') socket.end()
    })
  })
  const gateway = await startGatewayProcess(t, house.origin, calm)
  const variants = ['413', '401', '200', '503'].flatMap((status) =>
    ['reads', 'stops', 'closes'].flatMap((then) =>
      (['a length', 'chunks'] as const).map((framing) => ({ status, then, framing })),
    ),
  )
  let most = 0
  let stopped = 0
  for (const { status, then, framing } of variants) {
    seen.bytes = 0
    const client = await rawClient(t, gateway.port)
    const length = framing === 'chunks' ? 'Transfer-Encoding: chunked' : `Content-Length: ${size}`
    client.send(`POST /api/house/${status}/${then} HTTP/1.1\r\nHost: x\r\n${length}\r\n\r\n`)
    const pieces = function* () {
      for (const piece of bytes(size)) {
        if (framing === 'chunks') yield Buffer.from(`${piece.length.toString(16)}\r\n`)
        yield piece
        if (framing === 'chunks') yield Buffer.from('\r\n')
      }
    }
    // It goes on writing whatever comes back, until the connection is closed.
    const writing = pipeline(pieces(), client.socket, { end: false }).catch(() => {})
    const text = await client.receive('enough')
    const what = `${status}, the house ${then}, ${framing}`
    t.regex(text, new RegExp(`^HTTP/1\\.1 ${status} Enough\r\n`), what)
    t.regex(text, /connection: close\r\n/i, what)
    client.socket.destroy()
    await writing
    // One that does not read does not notice either.
    if (then !== 'stops')
      await until(() => house.connections.open === stopped, `the house is let go (${what})`)
    else stopped += 1
    most = Math.max(most, seen.bytes)
    t.true(seen.bytes < size / 2, `${what}: ${seen.bytes} bytes came to the house`)
  }
  t.is(gateway.process.errors(), '')
  see(
    `${variants.length} of ${variants.length} replies came while ${size / megabyte} MB were being sent; of those at most ${(most / megabyte).toFixed(1)} MB reached the house`,
  )
})

row('big-bodies', async (t, see) => {
  const size = scaled(64, 1024) * megabyte
  const house = await httpUpstream(t, async (incoming, response) => {
    if (incoming.method === 'POST') return void response.end(String(await countBytes(incoming)))
    const [, framing, length] = incoming.url!.split('/')
    if (framing === 'length') response.setHeader('content-length', length!)
    await pipeline(bytes(Number(length)), response).catch(() => {})
  })
  for (const framing of ['a length', 'chunks'] as const) {
    const ways: Readonly<Record<string, (gateway: string, length: number) => Promise<string | number>>> = {
      up: (url, length) => upload(`${url}/api/house`, length, framing),
      down: (url, length) =>
        download(`${url}/api/house/${framing === 'chunks' ? 'chunks' : 'length'}/${length}`),
    }
    for (const [way, send] of Object.entries(ways)) {
      const gateway = await startGatewayProcess(t, house.origin, calm)
      // What a few collections of garbage are worth is there in any case.
      t.is(Number(await send(gateway.url, 96 * megabyte)), 96 * megabyte)
      const before = await gateway.peakMemory()
      t.is(Number(await send(gateway.url, size)), size)
      const more = (await gateway.peakMemory()) - before
      t.true(more < 64, `${way} with ${framing}: ${more} MB more`)
      see(`${size / megabyte} MB ${way} with ${framing}: ${more.toFixed(0)} MB more`)
    }
  }
})
