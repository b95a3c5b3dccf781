import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { atMost } from '../support/figures.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { openSockets } from '../support/open-sockets.ts'
import { type RawClient, rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { seeded } from '../support/seeded.ts'
import { until } from '../support/until.ts'
import { httpUpstream, scriptedUpstream } from '../support/upstream.ts'
import { row, scaled } from './row.ts'

/** However slow the machine: nobody is turned away for it. */
const calm = { OVERLOAD_DELAY: '0s' }

const leave: readonly ((client: RawClient) => void)[] = [
  (client) => void client.socket.destroy(),
  (client) => void client.socket.resetAndDestroy(),
  (client) => void client.socket.end(),
]

/** What a client is doing when it leaves. */
const stages = {
  waiting: 'GET /api/house/waiting HTTP/1.1\r\nHost: x\r\n\r\n',
  downloading: 'GET /api/house/downloading HTTP/1.1\r\nHost: x\r\n\r\n',
  'uploading a length':
    'POST /api/house/uploading HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nfirst half',
  'uploading chunks':
    'POST /api/house/uploading HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\na\r\nfirst half\r\n',
} as const

row('client-abort', async (t, see) => {
  const at = new Map<string, Socket>()
  const house = await scriptedUpstream(t, (socket, head) => {
    at.set(/[?&]client=(\d+)/.exec(head)?.[1] ?? '', socket)
    if (head.includes('/warm-up')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    if (head.includes('/downloading')) {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nfirst half\r\n')
    }
  })
  const gateway = await startGatewayProcess(t, house.origin, calm)
  const { process } = gateway
  await request(`${gateway.url}/api/house/warm-up`)
  await until(() => house.connections.open === 0, 'the house is let go')
  const before = await openSockets(process.pid)

  const count = scaled(48, 200)
  const doing = Object.values(stages)
  const clients = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const client = await rawClient(t, gateway.port)
      client.send(doing[i % doing.length]!.replace(' HTTP/', `?client=${i} HTTP/`))
      await until(() => at.has(String(i)), `the request of client ${i} has come`)
      if (i % doing.length === 1) await client.receive('first half')
      return client
    }),
  )
  t.is(house.connections.open, count)
  const took = await Promise.all(
    clients.map(async (client, i) => {
      const socket = at.get(String(i))!
      const closed = new Promise((resolve) => socket.once('close', resolve))
      await delay((i % 50) * 4)
      const leftAt = performance.now()
      // Four stages and three ways to leave: every pair of them comes.
      leave[i % leave.length]!(client)
      await closed
      return performance.now() - leftAt
    }),
  )
  const lines = () => process.output().match(/^→ .*\/api\/house\/(?!warm-up).*$/gm) ?? []
  await until(() => lines().length >= count, 'every one has its line')
  t.is(lines().filter((line) => / {2}499 {2}.* {2}client_closed_request$/.test(line)).length, count)
  t.is(lines().length, count)
  t.notRegex(process.output(), /^(?:warn|error): /m)
  t.is(process.errors(), '')
  for (const client of clients) client.socket.destroy()
  await until(async () => (await openSockets(process.pid)) <= before, 'no socket is left')
  t.is(house.connections.open, 0)
  t.true(Math.max(...took) <= atMost(1000), `the slowest took ${Math.max(...took)} ms`)
  see(
    `${count} clients left: the house's connections closed within ${Math.ceil(Math.max(...took))} ms, ${count} lines with 499, 0 sockets left open`,
  )
})

row('pipelining', async (t, see) => {
  const random = seeded(7)
  const house = await httpUpstream(t, async (incoming, response) => {
    const body = Buffer.concat(await incoming.toArray())
    await delay(random() * 20)
    response.end(`[${incoming.url!.slice(1)} ${body.length}]`)
  })
  const gateway = await startGatewayProcess(t, house.origin, calm)
  const kinds: readonly ((i: number, id: string) => readonly [sent: string, expected: RegExp])[] = [
    (i, id) => [`GET /api/house/${i} HTTP/1.1\r\n${id}\r\n`, new RegExp(`^200 [\\s\\S]*\\[${i} 0\\]`)],
    (i, id) => [
      `POST /api/house/${i} HTTP/1.1\r\n${id}Content-Length: ${i}\r\n\r\n${'x'.repeat(i)}`,
      new RegExp(`^200 [\\s\\S]*\\[${i} ${i}\\]`),
    ],
    (i, id) => [
      `PUT /api/house/${i} HTTP/1.1\r\n${id}Transfer-Encoding: chunked\r\n\r\n2\r\nGE\r\n2;a=b\r\nT \r\n0\r\nX-A: b\r\n\r\n`,
      new RegExp(`^200 [\\s\\S]*\\[${i} 4\\]`),
    ],
    (i, id) => [`HEAD /api/house/${i} HTTP/1.1\r\n${id}\r\n`, /^200 [^[]*\r\n\r\n$/],
    (_, id) => [`GET /livez HTTP/1.1\r\n${id}\r\n`, /^200 [\s\S]*"ok"/],
    (_, id) => [`GET /nowhere HTTP/1.1\r\n${id}\r\n`, /^404 [\s\S]*"not_found"/],
    (_, id) => [`GET /api/house/../x HTTP/1.1\r\n${id}\r\n`, /^400 [\s\S]*"ambiguous_path"/],
    (_, id) => [`OPTIONS /api/house/x HTTP/1.1\r\n${id}Content-Length: 0\r\n\r\n`, /^200 [\s\S]*\[x 0\]/],
  ]
  const each = scaled(160, 1000)
  const connections = 5
  await Promise.all(
    Array.from({ length: connections }, async (_, connection) => {
      const requests = Array.from({ length: each }, (_, i) => {
        const id = `Host: x\r\nX-Request-Id: pipelined-${connection}-${i}-\r\n`
        return kinds[Math.floor(random() * kinds.length)]!(i, id)
      })
      const client = await rawClient(t, gateway.port)
      client.send(requests.map(([sent]) => sent).join(''))
      client.send('GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
      const replies = (await client.ended()).text.split(/HTTP\/1\.1 (?=\d{3} )/).slice(1)
      t.is(replies.length, each + 1)
      requests.forEach(([sent, expected], i) => {
        const reply = replies[i] ?? ''
        const isOwn = reply.includes(`pipelined-${connection}-${i}-`) && expected.test(reply)
        if (!isOwn) t.fail(`the answer to ${sent.slice(0, 60)} is ${reply.slice(0, 400)}`)
      })
    }),
  )
  see(
    `${connections} connections with ${each} requests of ${kinds.length} kinds each: ${connections * each} answers, each its own, all in order`,
  )
})

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n'
const inHex = smuggled.length.toString(16)

/** Ways to frame a body, and what the house must take it for. */
const framings: Readonly<Record<string, readonly [bytes: string, body: string]>> = {
  'a length': [`Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`, smuggled],
  'a length with a tab behind it': [`Content-Length: ${smuggled.length}\t\r\n\r\n${smuggled}`, smuggled],
  'a length with zeros in front': [`Content-Length: 000${smuggled.length}\r\n\r\n${smuggled}`, smuggled],
  'a length of 0': ['Content-Length: 0\r\n\r\n', ''],
  'a length of 00': ['Content-Length: 00\r\n\r\n', ''],
  'one chunk': [`Transfer-Encoding: chunked\r\n\r\n${inHex}\r\n${smuggled}\r\n0\r\n\r\n`, smuggled],
  'a chunk for each byte': [
    `Transfer-Encoding: chunked\r\n\r\n${[...smuggled].map((byte) => `1\r\n${byte}\r\n`).join('')}0\r\n\r\n`,
    smuggled,
  ],
  'CHUNKED in capitals': [`TRANSFER-ENCODING: CHUNKED\r\n\r\n${inHex}\r\n${smuggled}\r\n0\r\n\r\n`, smuggled],
  'chunk extensions': [
    `Transfer-Encoding: chunked\r\n\r\n${inHex};a;b=c;d="e;f"\r\n${smuggled}\r\n0;last\r\n\r\n`,
    smuggled,
  ],
  'zeros in front of sizes': [
    `Transfer-Encoding: chunked\r\n\r\n0000${inHex}\r\n${smuggled}\r\n0000\r\n\r\n`,
    smuggled,
  ],
  trailers: [
    `Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n${inHex}\r\n${smuggled}\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n`,
    smuggled,
  ],
  'no chunk but the last': ['Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n', ''],
  'an expectation': [
    `Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n${inHex}\r\n${smuggled}\r\n0\r\n\r\n`,
    smuggled,
  ],
  'an upgrade to h2c': [
    `Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n${inHex}\r\n${smuggled}\r\n0\r\n\r\n`,
    smuggled,
  ],
  'framing named by Connection': [
    `Connection: transfer-encoding, content-length\r\nTransfer-Encoding: chunked\r\n\r\n${inHex}\r\n${smuggled}\r\n0\r\n\r\n`,
    smuggled,
  ],
}

row('chunked-get', async (t, see) => {
  const seen: string[] = []
  const house = await httpUpstream(t, async (incoming, response) => {
    const body = Buffer.concat(await incoming.toArray()).toString('latin1')
    seen.push(`${incoming.method} ${incoming.url} ${body}`)
    response.setHeader('X-Seen', incoming.url!).end()
  })
  const { port } = await startGatewayFor(t, house.origin, {}, calm)
  const methods = ['DELETE', 'GET', 'OPTIONS', 'HEAD', 'POST', 'PUT', 'PATCH', 'QUERY', 'PROPFIND', 'SEARCH']
  let sent = 0
  for (const method of methods) {
    for (const [name, [bytes, body]] of Object.entries(framings)) {
      for (const isCut of [false, true]) {
        const client = await rawClient(t, port)
        const expected: string[] = []
        seen.length = 0
        for (const path of ['/1', '/2', '/3']) {
          const text = `${method} /api/house${path} HTTP/1.1\r\nHost: x\r\n${bytes}`
          const cut = isCut ? text.indexOf('\r\n\r\n') + 3 : text.length
          client.send(text.slice(0, cut))
          if (isCut) {
            await delay(1)
            client.send(text.slice(cut))
          }
          expected.push(`${method} ${path} ${body}`)
          await client.receive(`x-seen: ${path}\r\n`)
        }
        client.send('GET /api/house/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        expected.push('GET /last ')
        await client.ended()
        t.deepEqual(seen, expected, `${method} with ${name}`)
        sent += expected.length
      }
    }
  }
  see(
    `${sent} requests of ${methods.length} methods and ${Object.keys(framings).length} framings: houses saw ${sent}`,
  )
})
