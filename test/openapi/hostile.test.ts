import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { RequestListener } from 'node:http'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { startGateway } from '../support/gateway.ts'
import { publishedServices } from '../support/published-services.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'

const good = {
  openapi: '3.1.0',
  info: { title: 'Good', version: '1' },
  paths: { '/things': { get: { responses: { 200: { description: 'Good' } } } } },
}
const asJson = { 'Content-Type': 'application/json' }
const packed = { 'Content-Encoding': 'gzip' }
const reply =
  (body: string | Buffer, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) =>
    void response.writeHead(200, { ...asJson, ...headers }).end(body)
const documentWith = (members: object) => JSON.stringify({ ...good, ...members })
const referringTo = ($ref: string) =>
  documentWith({ components: { schemas: { Secret: { type: 'object', properties: { it: { $ref } } } } } })

/** Writes the same chunk for as long as somebody takes it. */
const endless =
  (chunk: Buffer | string, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) => {
    response.writeHead(200, { ...asJson, ...headers })
    const pump = () => {
      while (!response.destroyed && response.write(chunk));
    }
    response.on('drain', pump)
    pump()
  }

/** 3 GB of zeros in 3 MB: no more, since a slow machine has to receive them within the limit. */
const zipBomb = () => Buffer.concat(Array<Buffer>(30).fill(gzipSync(Buffer.alloc(100_000_000))))

interface Listed {
  readonly name: string
  readonly status: string
  readonly reason?: string
}

/** A gateway with a good service and hostile ones, once all have been judged. */
async function judge(t: ExecutionContext, listeners: Readonly<Record<string, RequestListener>>) {
  const goodHouse = await httpUpstream(t, reply(JSON.stringify(good)))
  const services: Record<string, object> = { good: { urls: [goodHouse.origin], auth: 'none' } }
  for (const [name, listener] of Object.entries(listeners)) {
    const { origin } = await httpUpstream(t, (request, response) => {
      if (request.url === '/openapi.json') return listener(request, response)
      response.end('served')
    })
    services[name] = { urls: [origin], auth: 'none' }
  }
  const gateway = await startGateway(t, { file: { services } })
  let merged: Merged | undefined
  await until(async () => {
    merged = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as Merged
    const judged = merged['x-munjigi-services']
    return judged.every(({ name, status }) => status !== 'waiting' && (name !== 'good' || status === 'ok'))
  }, 'all are judged')
  return { ...gateway, merged: merged! }
}

interface Merged {
  readonly paths: Readonly<Record<string, unknown>>
  readonly 'x-munjigi-services': readonly Listed[]
}

const hostiles: Readonly<Record<string, readonly [() => RequestListener, string, RegExp]>> = {
  'a document of 50 MB': [
    () => reply(documentWith({ 'x-filler': 'x'.repeat(50_000_000) })),
    'unavailable',
    /^is larger than 33554432 bytes$/,
  ],
  'a document of 50 MB that announces less': [
    () => (_request, response) => {
      response.writeHead(200, { ...asJson, 'Content-Length': '10' })
      response.socket!.write('x'.repeat(50_000_000))
    },
    'unavailable',
    /^cannot be fetched|^is larger|^was not there/,
  ],
  'a document without end': [
    () => endless(' '.repeat(65_536)),
    'unavailable',
    // The latter on a machine that takes long for 32 MB.
    /^is larger than 33554432 bytes$|^was not there within 10 s$/,
  ],
  'an HTML page': [
    () => reply('<!doctype html><title>Log in</title>', { 'Content-Type': 'text/html; charset=utf-8' }),
    'unavailable',
    /^came as "text\/html"/,
  ],
  'an HTML page that is said to be JSON': [() => reply('<!doctype html>'), 'invalid', /not valid JSON/],
  'a zip bomb': [() => reply(zipBomb(), packed), 'invalid', /^inflates to more than 33554432 bytes$/],
  'JSON that is cut off': [() => reply(JSON.stringify(good).slice(0, -5)), 'invalid', /not valid JSON/],
  'JSON that is nested 100 000 levels deep': [
    () => reply(`{"openapi":"3.1.0","x-deep":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
    'invalid',
    /^is nested more than 200 levels deep$/,
  ],
  'brackets that never close': [() => reply('['.repeat(1_000_000)), 'invalid', /^is nested more than/],
  '30 MB of empty objects': [
    () =>
      reply(
        gzipSync(documentWith({ 'x-filler': 0 }).replace(':0', `:[${'{},'.repeat(10_000_000)}{}]`)),
        packed,
      ),
    'invalid',
    /^has more than \d+ members and elements$/,
  ],
  'YAML whose aliases multiply': [
    () => reply(aliases(), { 'Content-Type': 'application/yaml' }),
    'invalid',
    /^is not valid YAML$|^has more than/,
  ],
  'a reference to a file': [
    () => reply(referringTo('file:///etc/passwd')),
    'invalid',
    /^refers to another document \("file:\/\/\/etc\/passwd"\)/,
  ],
  'a reference to the metadata of the cloud': [
    () => reply(referringTo('http://169.254.169.254/latest/meta-data/')),
    'invalid',
    /^refers to another document \("http:\/\/169\.254\.169\.254/,
  ],
  'a redirect to the metadata of the cloud': [
    () => (_request, response) =>
      void response.writeHead(302, { Location: 'http://169.254.169.254/latest/meta-data/' }).end(),
    'unavailable',
    /^was answered with a redirect \(302\), which is not followed$/,
  ],
}

/** Ten levels of ten: 10 billion values of 400 characters. */
function aliases(): string {
  const letters = 'abcdefghij'
  const lines = [...letters].map((letter, i) => {
    const item = i === 0 ? 'x' : `*${letters[i - 1]}`
    return `${letter}: &${letter} [${Array(10).fill(item).join()}]`
  })
  return `openapi: 3.1.0\n${lines.join('\n')}`
}

/** One gateway that meets them all at once. */
let all: Awaited<ReturnType<typeof judge>>
const ends: (() => unknown)[] = []
const nameOf = (what: string) => what.toLowerCase().replace(/\W+/g, '-')

test.before(async () => {
  const t = { teardown: (end: () => unknown) => void ends.unshift(end) } as ExecutionContext
  const listeners = Object.entries(hostiles).map(([what, [listener]]) => [nameOf(what), listener()])
  all = await judge(t, Object.fromEntries(listeners))
})
test.after.always(async () => {
  for (const end of ends) await end()
})

for (const [what, [, status, reason]] of Object.entries(hostiles)) {
  test(`${what} is listed as broken with the reason, and once in the log`, async (t) => {
    const name = nameOf(what)
    const listed = all.merged['x-munjigi-services'].find((service) => service.name === name)
    t.is(listed?.status, status)
    t.regex(listed?.reason ?? '', reason)
    const lines = all.lines.filter(({ message }) => message.includes(` ${name} `))
    t.deepEqual(
      lines.map(({ message }) => message),
      [`openapi: the document of ${name} ${listed?.reason}`],
    )
    t.is(await (await fetch(`${all.url}/api/${name}`)).text(), 'served')
  })
}

test('a good document is in beside all the hostile ones', (t) => {
  t.true('/api/good/things' in all.merged.paths)
  const { name, status } = all.merged['x-munjigi-services'].find((service) => service.name === 'good')!
  t.deepEqual([name, status], ['good', 'ok'])
})

test('nobody is asked for what a document refers to', async (t) => {
  let connections = 0
  const trap = await httpUpstream(t, (_request, response) => void response.end('{}'))
  trap.server.on('connection', () => {
    connections += 1
  })
  const targets: string[] = []
  const note = (message: unknown) => {
    const { request } = message as { request: { origin: string } }
    targets.push(String(request.origin))
  }
  subscribe('undici:request:create', note)
  t.teardown(() => unsubscribe('undici:request:create', note))
  const members = {
    externalDocs: { url: `${trap.origin}/docs` },
    servers: [{ url: `${trap.origin}/server` }],
    components: {
      schemas: { A: { $ref: `${trap.origin}/ref.json#/A` } },
      examples: { B: { externalValue: `${trap.origin}/example` } },
    },
  }
  const { merged } = await judge(t, { hostile: reply(documentWith(members)) })
  t.like(merged['x-munjigi-services'][1], { status: 'invalid' })
  t.is(connections, 0)
  // So that it is known that what is asked is seen at all.
  t.true(targets.length >= 2)
  t.false(targets.includes(trap.origin))
})

test('a redirect leads to no request', async (t) => {
  let asked = false
  const trap = await httpUpstream(t, (_request, response) => {
    asked = true
    response.end()
  })
  const redirect: RequestListener = (_request, response) =>
    void response.writeHead(307, { Location: trap.origin }).end()
  await judge(t, { redirect })
  t.false(asked)
})

test('a document that turns bad leaves the last good one, with the time it was fetched', async (t) => {
  // Asked again at once where the instances change, not only once a minute.
  const bad = await httpUpstream(t, reply('<!doctype html>', { 'Content-Type': 'text/html' }))
  const house = await httpUpstream(t, reply(JSON.stringify(good)))
  const { publish, configured } = publishedServices([house.origin], { openapi: '/openapi.json' })
  const { url } = await startGateway(t, { services: { configured } })
  const load = async () => (await (await fetch(`${url}/openapi.json`)).json()) as Merged
  const has = (status: string) => async () => (await load())['x-munjigi-services'][0]?.status === status
  await until(has('ok'), 'the good one is there')
  publish([bad.origin])
  await until(has('stale'), 'the bad one is judged')
  const merged = await load()
  t.true('/api/house/things' in merged.paths)
  t.regex(merged['x-munjigi-services'][0]?.reason ?? '', /^came as "text\/html"/)
  t.regex(JSON.stringify(merged['x-munjigi-services']), /"fetched_at":"20/)
})
