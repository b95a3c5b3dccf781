import { setTimeout as delay } from 'node:timers/promises'
import { ambiguousPaths, decodeFully, generateTarget, plainPaths } from '../support/ambiguous-paths.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { inTurns } from '../support/in-turns.ts'
import { startIssuer } from '../support/issuer.ts'
import { malformedRequests } from '../support/malformed.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { seeded } from '../support/seeded.ts'
import { gatewayNames, ways } from '../support/spoofed-headers.ts'
import { httpUpstream, rawUpstream, scriptedUpstream } from '../support/upstream.ts'
import { row, scaled } from './row.ts'

/** However slow the machine: nobody is turned away for it. */
const calm = { OVERLOAD_DELAY: '0s' }

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

row('malformed-requests', async (t, see) => {
  let atHouse = 0
  const house = await rawUpstream(t, (socket) => {
    socket.on('data', (chunk) => {
      atHouse += chunk.length
    })
  })
  const gateway = await startGatewayProcess(t, house.origin, calm)
  const random = seeded(16)
  const variants = Object.entries(malformedRequests).flatMap(([name, bytes]) => {
    const [method = ''] = /^(?:GET|POST) /.exec(bytes) ?? []
    const spoken = method === '' ? [bytes] : methods.map((one) => bytes.replace(method, `${one} `))
    return spoken.flatMap((text) =>
      ['first', 'behind another'].flatMap((place) =>
        ['whole', 'in two pieces'].map((delivery) => ({ name, text, place, delivery })),
      ),
    )
  })
  await inTurns(variants, 16, async ({ name, text, place, delivery }) => {
    const what = `${name} (${text.split(' ', 1)[0]}, ${place}, ${delivery})`
    const client = await rawClient(t, gateway.port)
    if (place === 'behind another') {
      client.send('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
      await client.receive('"ok"')
    }
    const before = client.received().length
    const cut = delivery === 'whole' ? text.length : 1 + Math.floor(random() * (text.length - 1))
    client.send(text.slice(0, cut))
    if (cut < text.length) {
      await delay(2)
      client.send(text.slice(cut))
    }
    const reply = (await client.ended()).text.slice(before)
    if (!/^HTTP\/1\.1 400 [\s\S]*connection: close\r\n/i.test(reply))
      t.fail(`${what}: ${reply.slice(0, 200)}`)
    if (reply.match(/HTTP\/1\.1 \d/g)?.length !== 1) t.fail(`${what}: more than one answer`)
  })
  t.is(atHouse, 0)
  t.is((await request(`${gateway.url}/livez`)).status, 200)
  t.is(gateway.process.errors(), '')
  see(`${variants.length} of ${variants.length} variants: 400 and closed; 0 bytes at a house`)
})

row('spoofed-headers', async (t, see) => {
  const house = await scriptedUpstream(t, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  const issuer = await startIssuer(t)
  const { port } = await startGatewayFor(
    t,
    house.origin,
    { auth: 'required' },
    { TRUSTED_ISSUERS: issuer.setting, ...calm },
  )
  const authorization = `Authorization: Bearer ${await issuer.token({ sub: 'user-1', scope: 'read' })}`
  const own: Readonly<Record<string, RegExp>> = {
    'x-user-id': /^user-1$/,
    'x-user-scope': /^read$/,
    'x-user-issuer': /^https:\/\/login\.example\.com$/,
    'x-forwarded-for': /^127\.0\.0\.1$/,
    'x-forwarded-host': /^gateway$/,
    'x-forwarded-proto': /^http$/,
    forwarded: /^for=127\.0\.0\.1;host="gateway";proto=http$/,
    'x-request-id': /^[0-9a-f-]{36}$/,
  }
  let tried = 0
  for (const [way, send] of Object.entries(ways)) {
    for (const spell of gatewayNames.spellings) {
      const names = gatewayNames.names.map(spell)
      const before = house.requests.length
      const client = await rawClient(t, port)
      await send(client, [authorization, ...names.map((name) => `${name}: spoofed by me`)], names)
      await client.ended()
      const seen = house.requests.slice(before)
      t.notRegex(seen.join(''), /spoofed/, `${way}: ${names[0]}`)
      // Behind the last chunk of a body there is an empty line as well.
      const heads = seen.filter((text) => text.includes(' HTTP/1.1\r\n'))
      t.true(heads.length > 0, `${way}: ${names[0]}`)
      for (const head of heads) {
        const lines = head.trim().split('\r\n').slice(1)
        for (const [name, value] of Object.entries(own)) {
          const found = lines.filter((line) => line.toLowerCase().startsWith(`${name}: `))
          t.is(found.length, 1, `${way}: ${name}`)
          t.regex(found[0]!.slice(name.length + 2), value, `${way}: ${name}`)
        }
      }
      tried += names.length
    }
  }
  see(`${tried} spellings and ways: a house saw 0 of them, and the gateway's own each once`)
})

row('ambiguous-paths', async (t, see) => {
  const received: string[] = []
  const house = await httpUpstream(t, (incoming, response) => {
    received.push(incoming.url ?? '')
    response.end()
  })
  const guarded = await scriptedUpstream(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  const service = { openapi: false, strip: '' }
  const { port, access } = await startGateway(t, {
    env: calm,
    file: {
      services: {
        open: { ...service, urls: [house.origin], path: '/', auth: 'none' },
        guarded: { ...service, urls: [guarded.origin], path: '/secret', auth: 'required' },
      },
    },
  })
  const statusOf = async (target: string, method = 'GET') => {
    const client = await rawClient(t, port)
    client.send(`${method} ${target} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n`)
    return /^HTTP\/1\.1 (\d{3})/.exec((await client.ended()).text)?.[1]
  }

  let refused = 0
  for (const [what, target] of Object.entries(ambiguousPaths)) {
    const absolute = target.startsWith('/') ? [`http://elsewhere${target}`] : []
    for (const form of [target, target.replace('/house', '/secret'), ...absolute]) {
      for (const method of methods) {
        t.is(await statusOf(form, method), '400', `${what}: ${method} ${form}`)
        refused += 1
      }
    }
  }
  t.deepEqual(received, [])
  see(`${refused} of ${refused} refused with 400`)

  for (const [what, [sent, forwarded]] of Object.entries(plainPaths)) {
    t.is(await statusOf(sent), '200', what)
    t.is(received.at(-1), forwarded, what)
  }

  const random = seeded(20_261_123)
  const targets = Array.from({ length: scaled(1000, 20_000) }, () => {
    const pieces = [
      '/secret',
      '/a',
      '/SECRET',
      '/secre%74',
      '/b;x',
      '/secret.html',
      '/secrets',
      '/..',
      '/.;/',
      '//',
    ]
    pieces.push(...['/%2e%2e', generateTarget(random), generateTarget(random)])
    const target = Array.from({ length: 2 }, () => pieces[Math.floor(random() * pieces.length)]).join('')
    return random() < 0.2 ? `http://elsewhere${target}` : target
  })
  received.length = 0
  const logged = access.length
  await inTurns(targets, 8, async (target) => void (await statusOf(target)))
  const passed = access.slice(logged).filter(({ status, service: name }) => status === 200 && name === 'open')
  t.deepEqual(
    received.map((url) => url.replace(/\?.*/s, '')).toSorted(),
    passed.map(({ path }) => path).toSorted(),
    'what was judged is what is forwarded',
  )
  t.deepEqual(
    received.filter((url) => readFully(url).startsWith('/secret/')),
    [],
  )
  t.deepEqual(guarded.requests, [])
  t.true(received.length > targets.length / 100, `only ${received.length} passed: that shows little`)
  see(
    `${targets.length} generated targets: ${received.length} forwarded as they were judged, 0 of them past a guarded path`,
  )
})

/** A path as a server reads it that forgives everything, with a slash at its end. */
function readFully(url: string): string {
  const segments: string[] = []
  for (const segment of decodeFully(url.replace(/[?#].*/s, '')).split(/[/\\]/)) {
    const name = segment.replace(/;.*/s, '')
    if (name === '..') segments.pop()
    else if (name !== '.' && name !== '') segments.push(name.toLowerCase())
  }
  return `/${segments.join('/')}/`
}
