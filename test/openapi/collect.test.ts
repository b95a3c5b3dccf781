import { once } from 'node:events'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { stringify } from 'yaml'
import { createDocumentCollector } from '../../src/openapi/collect.ts'
import type { DocumentLimits } from '../../src/openapi/limits.ts'
import type { PublishedRoute } from '../../src/openapi/public-paths.ts'
import { createWorkshop } from '../../src/openapi/workshop.ts'

import { selfSigned } from '../support/certificate.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream } from '../support/upstream.ts'

const documentWith = (summary: string) => ({
  openapi: '3.1.0',
  info: { title: 'House', version: '1' },
  paths: { '/users': { get: { summary, responses: { 200: { description: 'Good' } } } } },
})
const document = documentWith('first')

/** One thread for all tests of this file. */
const workshop = createWorkshop()
test.after.always(() => workshop.stop())

interface Setting {
  readonly origins: readonly string[]
  readonly openapi?: string | false
  readonly service?: string
  readonly serverName?: string
}

const routesOf = (settings: readonly Setting[]): PublishedRoute[] =>
  settings.map(({ origins, openapi = '/openapi.json', service = 'auth', serverName }) => ({
    service,
    openapi,
    prefix: `/api/${service}`,
    strip: '',
    auth: 'none',
    scopes: [],
    instances: origins.map((origin) => ({ id: origin, origin, ...(serverName && { serverName }) })),
  }))

/** A collector that repeats quickly, on a table that the test sets. */
function startCollector(
  t: ExecutionContext,
  settings: readonly Setting[],
  limits: Partial<DocumentLimits> = {},
) {
  let routes = routesOf(settings)
  const listeners = new Set<() => void>()
  const lines: string[] = []
  const keep = (_: unknown, line: string) => void lines.push(line)
  const collector = createDocumentCollector({
    workshop,
    table: {
      current: () => ({ version: 1, routes }),
      subscribe(listener) {
        const call = () => listener({ version: 1, routes: [] })
        listeners.add(call)
        return () => listeners.delete(call)
      },
    },
    log: { debug: keep, info: keep, warn: keep, error: keep },
    random: () => 1,
    limits: { retryMs: 10, intervalMs: 100, timeoutMs: 1000, ...limits },
  })
  t.teardown(collector.stop)
  collector.start()
  return {
    lines,
    collector,
    of: (service = 'auth') => collector.collected().get(service),
    /** What an operation of the document that is kept says of itself. */
    summary: (service = 'auth') => {
      const { document } = collector.collected().get(service) ?? {}
      return /"summary":"(\w+)"/.exec(Buffer.from(document ?? []).toString())?.[1]
    },
    setTable(next: readonly Setting[]) {
      routes = routesOf(next)
      for (const listener of listeners) listener()
    },
  }
}

function json(body: unknown, headers: Record<string, string> = {}): RequestListener {
  return (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body))
  }
}

test("a service's document is fetched from where its description says", async (t) => {
  const requests: IncomingMessage[] = []
  const house = await httpUpstream(t, (request, response) => {
    requests.push(request)
    json(document)(request, response)
  })
  const { of, summary } = startCollector(t, [{ origins: [house.origin], openapi: '/v1/api.json?full' }])
  await until(() => of()?.status === 'ok', 'the document is there')
  t.is(requests[0]!.url, '/v1/api.json?full')
  t.regex(requests[0]!.headers.accept ?? '', /\bapplication\/json\b/)
  t.is(summary(), 'first')
})

test('a document is fetched again periodically, and the version tells', async (t) => {
  let word = 'first'
  const house = await httpUpstream(t, (request, response) => json(documentWith(word))(request, response))
  const { of, summary, collector } = startCollector(t, [{ origins: [house.origin] }])
  await until(() => of()?.status === 'ok', 'the first document')
  const before = collector.version()
  word = 'second'
  await until(() => summary() === 'second', 'the second document')
  t.true(collector.version() > before)
})

test('a service that starts late is asked again until it answers, with growing pauses', async (t) => {
  const times: number[] = []
  const house = await httpUpstream(t, (request, response) => {
    times.push(performance.now())
    if (times.length < 5) response.writeHead(503).end()
    else json(document)(request, response)
  })
  const { of, lines } = startCollector(t, [{ origins: [house.origin] }], { intervalMs: 60_000 })
  await until(() => of()?.status === 'ok', 'the document is there')
  const pauses = times.slice(1).map((time, i) => time - times[i]!)
  for (const [i, leastMs] of [10, 20, 40, 80].entries()) t.true(pauses[i]! >= leastMs - 2, String(pauses))
  t.deepEqual(lines, [
    'openapi: the document of auth was answered with status 503',
    'openapi: the document of auth is there again',
  ])
})

test('the last good document stands when the service gives none any more, with its age and the reason', async (t) => {
  let broken = false
  const house = await httpUpstream(t, (request, response) => {
    json(broken ? { openapi: 4 } : document)(request, response)
  })
  const { of, summary } = startCollector(t, [{ origins: [house.origin] }])
  await until(() => of()?.status === 'ok', 'the document is there')
  broken = true
  await until(() => of()?.status === 'stale', 'it is stale')
  t.is(summary(), 'first')
  t.regex(of()?.reason ?? '', /version/)
  t.true(Math.abs(Date.now() - of()!.fetchedAt!) < 60_000)
})

test('an instance that is down does not hide the others', async (t) => {
  const house = await httpUpstream(t, json(document))
  const { of } = startCollector(t, [{ origins: [await deadOrigin(), house.origin] }])
  await until(() => of()?.status === 'ok', 'the document of the other one')
  t.pass()
})

test('a new instance is asked soon, without waiting for the next turn', async (t) => {
  const first = await httpUpstream(t, json(document))
  const second = await httpUpstream(t, json(documentWith('second')))
  const { of, summary, setTable } = startCollector(t, [{ origins: [first.origin] }], { intervalMs: 60_000 })
  await until(() => of()?.status === 'ok', 'the first document')
  setTable([{ origins: [second.origin] }])
  await until(() => summary() === 'second', 'the second document')
  t.pass()
})

test('a table that changes all the time does not make a service be asked all the time', async (t) => {
  let requests = 0
  const house = await httpUpstream(t, (request, response) => {
    requests += 1
    json(document)(request, response)
  })
  const { of, setTable } = startCollector(t, [{ origins: [house.origin] }], {
    retryMs: 60_000,
    intervalMs: 60_000,
  })
  await until(() => of()?.status === 'ok', 'the document is there')
  for (let i = 0; i < 50; i += 1)
    setTable([{ origins: i % 2 ? [house.origin] : [house.origin, house.origin] }])
  await fetch(house.origin)
  t.is(requests, 2)
})

test('a document that has not changed is not sent again, nor read', async (t) => {
  const conditions: (string | undefined)[] = []
  const house = await httpUpstream(t, (request, response) => {
    conditions.push(request.headers['if-none-match'])
    if (request.headers['if-none-match'] === '"one"') response.writeHead(304).end()
    else json(document, { ETag: '"one"' })(request, response)
  })
  const { of, collector } = startCollector(t, [{ origins: [house.origin] }], { intervalMs: 10 })
  await until(() => of()?.status === 'ok', 'the document is there')
  const [first, version] = [of()!, collector.version()]
  await until(() => conditions.length >= 3 && of()!.fetchedAt! > first.fetchedAt!, 'it is asked for again')
  t.deepEqual(conditions.slice(0, 3), [undefined, '"one"', '"one"'])
  t.is(of()?.document, first.document)
  t.is(collector.version(), version)
})

test('a document without an ETag is asked for by its date', async (t) => {
  const date = 'Sun, 06 Nov 1994 08:49:37 GMT'
  const conditions: (string | undefined)[] = []
  const house = await httpUpstream(t, (request, response) => {
    conditions.push(request.headers['if-modified-since'])
    if (request.headers['if-modified-since'] === date) response.writeHead(304).end()
    else json(document, { 'Last-Modified': date })(request, response)
  })
  startCollector(t, [{ origins: [house.origin] }], { intervalMs: 10 })
  await until(() => conditions.length >= 2, 'it is asked for again')
  t.deepEqual(conditions.slice(0, 2), [undefined, date])
})

test("an instance is not asked by another one's ETag", async (t) => {
  const conditions: (string | undefined)[] = []
  const first = await httpUpstream(t, json(document, { ETag: '"1"' }))
  const second = await httpUpstream(t, (request, response) => {
    conditions.push(request.headers['if-none-match'])
    json(documentWith('other'), { ETag: '"1"' })(request, response)
  })
  const { summary } = startCollector(t, [{ origins: [first.origin, second.origin] }], { intervalMs: 10 })
  await until(() => summary() === 'other', "the other one's is there")
  t.is(conditions[0], undefined)
})

test('a document with the bytes of the last one is not read again', async (t) => {
  let requests = 0
  const house = await httpUpstream(t, (request, response) => {
    requests += 1
    json(document)(request, response)
  })
  const { of, collector } = startCollector(t, [{ origins: [house.origin] }], { intervalMs: 10 })
  await until(() => of()?.status === 'ok', 'the document is there')
  const [first, version] = [of()!, collector.version()]
  await until(() => requests >= 3 && of()!.fetchedAt! > first.fetchedAt!, 'it is fetched again')
  t.is(of()?.document, first.document)
  t.is(collector.version(), version)
})

test('a server is called by its name where its address is not its name', async (t) => {
  let host: string | undefined
  const house = await httpUpstream(t, (request, response) => {
    host = request.headers.host
    json(document)(request, response)
  })
  const { of } = startCollector(t, [{ origins: [house.origin], serverName: 'auth.internal' }])
  await until(() => of()?.status === 'ok', 'the document is there')
  t.is(host, `auth.internal:${house.port}`)
})

test('a server is called by its name in TLS, whose certificate must name it', async (t) => {
  const names: string[] = []
  const house = https.createServer({
    ...selfSigned(),
    SNICallback(name, callback) {
      names.push(name)
      callback(null)
    },
  })
  house.on('tlsClientError', () => {})
  await once(house.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => house.close())
  const origin = `https://127.0.0.1:${(house.address() as AddressInfo).port}`
  const { of } = startCollector(t, [{ origins: [origin], serverName: 'auth.internal' }])
  await until(() => of()?.status !== 'waiting', 'the service is judged')
  t.is(names[0], 'auth.internal')
})

test('a document is had that did not change while the service said that it has none', async (t) => {
  const replies: ServerResponse[] = []
  const house = await httpUpstream(t, (request, response) => {
    if (request.headers['if-none-match'] === undefined) json(document, { ETag: '"1"' })(request, response)
    else replies.push(response)
  })
  const origins = [house.origin]
  const { of, setTable, lines } = startCollector(t, [{ origins }], { intervalMs: 10, retryMs: 60_000 })
  await until(() => replies.length === 1, 'it is asked whether it has changed')
  setTable([{ origins, openapi: false }])
  setTable([{ origins }])
  replies[0]!.writeHead(304).end()
  await until(() => of()?.status !== 'waiting', 'the answer is there')
  t.is(of()?.status, 'ok')
  t.deepEqual(lines, [])
})

test('that nothing has changed is no answer to who did not ask that', async (t) => {
  const house = await httpUpstream(t, (_request, response) => void response.writeHead(304).end())
  const { of } = startCollector(t, [{ origins: [house.origin] }])
  await until(() => of()?.status !== 'waiting', 'the service is judged')
  t.regex(of()?.reason ?? '', /^was answered with status 304, though nothing was sent/)
})

test('a document may be compressed', async (t) => {
  const house = await httpUpstream(t, (request, response) => {
    t.is(request.headers['accept-encoding'], 'gzip')
    const bytes = gzipSync(JSON.stringify(document))
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }).end(bytes)
  })
  const { of, summary } = startCollector(t, [{ origins: [house.origin] }])
  await until(() => of()?.status === 'ok', 'the document is there')
  t.is(summary(), 'first')
})

for (const type of ['application/yaml', 'application/openapi+yaml; charset=utf-8', 'text/x-yaml']) {
  test(`a document may be YAML: ${type}`, async (t) => {
    const house = await httpUpstream(t, (_request, response) => {
      response.writeHead(200, { 'Content-Type': type }).end(stringify(document))
    })
    const { of, summary } = startCollector(t, [{ origins: [house.origin] }])
    await until(() => of()?.status === 'ok', 'the document is there')
    t.is(summary(), 'first')
  })
}

test('documents are kept up to a size in all; the one that came last is refused', async (t) => {
  const house = await httpUpstream(t, json(document))
  const { of, setTable } = startCollector(t, [{ origins: [house.origin], service: 'one' }], {
    maxTotalBytes: 3000,
  })
  await until(() => of('one')?.status === 'ok', 'the first is there')
  const other = await httpUpstream(t, json(documentWith('x'.repeat(3000))))
  setTable([
    { origins: [house.origin], service: 'one' },
    { origins: [other.origin], service: 'two' },
  ])
  await until(() => of('two')?.status === 'invalid', 'the second is judged')
  t.is(of('two')?.reason, 'does not fit: all documents together would be larger than 3000 bytes')
  t.is(of('one')?.status, 'ok')
})

test('a document that is given up is not taken again before it is another', async (t) => {
  let word = 'first'
  const house = await httpUpstream(t, (request, response) => json(documentWith(word))(request, response))
  const { of, collector } = startCollector(t, [{ origins: [house.origin] }], { intervalMs: 10 })
  await until(() => of()?.status === 'ok', 'the document is there')
  collector.giveUp('auth', of()!.document!, 'is left out')
  t.like(of(), { status: 'invalid', reason: 'is left out', document: undefined })
  const asked = house.server
  await once(asked, 'request')
  await once(asked, 'request')
  t.is(of()?.status, 'invalid')
  word = 'second'
  await until(() => of()?.status === 'ok', 'another document is taken')
  t.pass()
})

test('a service that has left the table is forgotten', async (t) => {
  const house = await httpUpstream(t, json(document))
  const { of, setTable, collector } = startCollector(t, [{ origins: [house.origin] }])
  await until(() => of()?.status === 'ok', 'the document is there')
  setTable([])
  t.is(collector.collected().size, 0)
})

test('a service that says it has no document is not asked, nor one without instances', async (t) => {
  let requests = 0
  const house = await httpUpstream(t, (_request, response) => {
    requests += 1
    response.end()
  })
  const { of } = startCollector(t, [
    { origins: [house.origin], openapi: false, service: 'none' },
    { origins: [], service: 'empty' },
  ])
  await until(() => of('empty')?.status === 'unavailable', 'the empty one is known')
  t.is(of('none')?.status, 'none')
  t.is(requests, 0)
})

type Answer = (response: ServerResponse, t: ExecutionContext) => unknown
const send =
  (status: number, headers: Record<string, string>, body = '') =>
  (response: ServerResponse) =>
    response.writeHead(status, headers).end(body)
const asJson = { 'Content-Type': 'application/json' }
const refusals: Readonly<Record<string, readonly [Answer, string, RegExp]>> = {
  'a redirect': [send(302, { Location: '/else' }), 'unavailable', /redirect \(302\)/],
  'a status other than 200': [send(404, asJson, '{}'), 'unavailable', /status 404/],
  'another media type': [
    send(200, { 'Content-Type': 'text/html' }, '{}'),
    'unavailable',
    /"text\/html"; only/,
  ],
  'no media type': [send(200, {}, '{}'), 'unavailable', /without a content type/],
  'a content coding that was not asked for': [
    send(200, { ...asJson, 'Content-Encoding': 'br' }),
    'unavailable',
    /"br", which was not asked for/,
  ],
  'what is said to be gzip': [
    send(200, { ...asJson, 'Content-Encoding': 'gzip' }, '{}'),
    'invalid',
    /not valid gzip/,
  ],
  'a reply of "unchanged" to somebody who has nothing': [
    send(304, {}),
    'unavailable',
    /redirect \(304\)|304/,
  ],
  'what is not JSON': [send(200, asJson, '{'), 'invalid', /not valid JSON/],
  'bytes that are not UTF-8': [
    (response) => response.writeHead(200, asJson).end(Buffer.from([34, 0xff, 34])),
    'invalid',
    /not valid|UTF-8/,
  ],
  'JSON that is no document': [send(200, asJson, '[]'), 'invalid', /not a JSON object/],
  'an announced size beyond the limit': [
    send(200, { ...asJson, 'Content-Length': '2001' }, ' '.repeat(2001)),
    'unavailable',
    /larger than 2000 bytes/,
  ],
  'a body without end': [
    (response) => {
      response.writeHead(200, asJson)
      const pump = () => {
        while (!response.destroyed && response.write(' '.repeat(1000)));
      }
      response.on('drain', pump)
      pump()
    },
    'unavailable',
    /larger than 2000 bytes/,
  ],
  'a connection that is closed': [
    (response) => response.destroy(),
    'unavailable',
    /cannot be fetched \([A-Z_]+\)/,
  ],
}

for (const [what, [answer, status, reason]] of Object.entries(refusals)) {
  test(`${what} is refused with the reason`, async (t) => {
    const house = await httpUpstream(t, (_request, response) => void answer(response, t))
    const { of } = startCollector(t, [{ origins: [house.origin] }], { maxBytes: 2000, timeoutMs: 30_000 })
    await until(() => of()?.status !== 'waiting', 'the answer is judged')
    t.is(of()?.status, status as never)
    t.regex(of()?.reason ?? '', reason)
    t.is(of()?.document, undefined)
  })
}

test('a document that does not come whole within the limit is given up', async (t) => {
  const house = await httpUpstream(t, (_request, response) => void response.writeHead(200, asJson).write('{'))
  const { of } = startCollector(t, [{ origins: [house.origin] }], { timeoutMs: 300 })
  await until(() => of()?.status === 'unavailable', 'it is given up')
  t.is(of()?.reason, 'was not there within 0.3 s')
})

test('a redirect is not followed', async (t) => {
  let asked = false
  const inner = await httpUpstream(t, (_request, response) => {
    asked = true
    response.end()
  })
  const house = await httpUpstream(t, send302(inner.origin))
  const { of } = startCollector(t, [{ origins: [house.origin] }])
  await until(() => of()?.status === 'unavailable', 'the redirect is refused')
  t.false(asked)
})

function send302(location: string): RequestListener {
  return (_request, response) => void response.writeHead(302, { Location: location }).end()
}

test('many services are asked a few at a time', async (t) => {
  let atOnce = 0
  let most = 0
  const full = Promise.withResolvers<void>()
  const house = await httpUpstream(t, async (request, response) => {
    atOnce += 1
    most = Math.max(most, atOnce)
    if (atOnce === 3) full.resolve()
    await full.promise
    atOnce -= 1
    json(document)(request, response)
  })
  const services = Array.from({ length: 20 }, (_, i) => ({ origins: [house.origin], service: `s${i}` }))
  const { collector } = startCollector(t, services, { concurrency: 3, intervalMs: 60_000 })
  await until(
    () => [...collector.collected().values()].every(({ status }) => status === 'ok'),
    'all are there',
  )
  t.is(most, 3)
})

test('stop ends a fetch in flight at once', async (t) => {
  const house = await httpUpstream(t, () => {})
  const asked = once(house.server, 'request')
  const { collector } = startCollector(t, [{ origins: [house.origin] }], { timeoutMs: 60_000 })
  await asked
  await collector.stop()
  await until(() => house.connections.open === 0, 'its connection is closed')
  t.pass()
})
