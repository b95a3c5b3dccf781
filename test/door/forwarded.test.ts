import type { IncomingMessage } from 'node:http'
import test from 'ava'
import { createIdentifyCaller, forwardedIdentity } from '../../src/door/forwarded.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { httpUpstream } from '../support/upstream.ts'

/** A request as node:http would hand it over, from an address that no test machine can connect from. */
function requestFrom(
  remoteAddress: string | undefined,
  headers: Readonly<Record<string, string>> = {},
  url = '/',
) {
  const lower = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  )
  return {
    url,
    socket: { remoteAddress },
    headers: lower,
    rawHeaders: Object.entries(headers).flat(),
  } as unknown as IncomingMessage
}

const behindProxy = createIdentifyCaller(['10.0.0.0/8', '::1/128', '2001:db8::/32'])
const direct = createIdentifyCaller([])

test('without a trusted proxy nobody’s word is taken', (t) => {
  const caller = direct(
    requestFrom('203.0.113.9', {
      Host: 'www.jinmini.com',
      'X-Forwarded-For': '1.2.3.4',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'evil.example',
    }),
  )
  t.deepEqual(caller, {
    address: '203.0.113.9',
    proto: 'http',
    host: 'www.jinmini.com',
    chain: '203.0.113.9',
  })
})

test('somebody who is not a trusted proxy is not believed where others are', (t) => {
  const caller = behindProxy(requestFrom('203.0.113.9', { 'X-Forwarded-For': '1.2.3.4' }))
  t.is(caller.address, '203.0.113.9')
  t.is(caller.chain, '203.0.113.9')
})

test('a trusted proxy says who the client is, and how it came', (t) => {
  const caller = behindProxy(
    requestFrom('10.0.0.1', {
      Host: 'gateway.internal',
      'X-Forwarded-For': '203.0.113.9',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'www.jinmini.com',
    }),
  )
  t.deepEqual(caller, {
    address: '203.0.113.9',
    proto: 'https',
    host: 'www.jinmini.com',
    chain: '203.0.113.9, 10.0.0.1',
  })
})

for (const [what, list, address, chain] of [
  [
    'what a client invents to the left is dropped',
    '127.0.0.1, 1.1.1.1, 203.0.113.9',
    '203.0.113.9',
    '203.0.113.9, 10.0.0.1',
  ],
  [
    'trusted proxies in between are passed over',
    '203.0.113.9, 10.0.0.7',
    '203.0.113.9',
    '203.0.113.9, 10.0.0.7, 10.0.0.1',
  ],
  [
    'a client that claims to be a trusted proxy is not one',
    '10.9.9.9, 203.0.113.9',
    '203.0.113.9',
    '203.0.113.9, 10.0.0.1',
  ],
  [
    'a request that began within the trusted network is its first hop’s',
    '10.0.0.8, 10.0.0.7',
    '10.0.0.8',
    '10.0.0.8, 10.0.0.7, 10.0.0.1',
  ],
  ['no list means the proxy itself', '', '10.0.0.1', '10.0.0.1'],
  [
    'empty elements are skipped',
    ' , 203.0.113.9,, ,10.0.0.7, ',
    '203.0.113.9',
    '203.0.113.9, 10.0.0.7, 10.0.0.1',
  ],
  ['nothing but commas means the proxy itself', ',,,', '10.0.0.1', '10.0.0.1'],
  ['a port behind an address is no part of it', '203.0.113.9:5678', '203.0.113.9', '203.0.113.9, 10.0.0.1'],
  [
    'a port behind a trusted proxy’s address does not make it a stranger',
    '203.0.113.9, 10.0.0.7:41000',
    '203.0.113.9',
    '203.0.113.9, 10.0.0.7, 10.0.0.1',
  ],
  ['an IPv6 address is taken as it is', '2a00::1', '2a00::1', '2a00::1, 10.0.0.1'],
  ['a bracketed IPv6 address is the same', '[2a00::1]', '2a00::1', '2a00::1, 10.0.0.1'],
  ['a bracketed IPv6 address with a port is the same', '[2a00::1]:5678', '2a00::1', '2a00::1, 10.0.0.1'],
  [
    'a trusted IPv6 proxy is recognised',
    '203.0.113.9, 2001:db8::7',
    '203.0.113.9',
    '203.0.113.9, 2001:db8::7, 10.0.0.1',
  ],
  [
    'an IPv4-mapped address is the IPv4 one',
    '::ffff:203.0.113.9, ::ffff:10.0.0.7',
    '203.0.113.9',
    '203.0.113.9, 10.0.0.7, 10.0.0.1',
  ],
  [
    'an IPv4-mapped address in upper case is the IPv4 one',
    '203.0.113.9, ::FFFF:10.0.0.7',
    '203.0.113.9',
    '203.0.113.9, 10.0.0.7, 10.0.0.1',
  ],
  [
    'an IPv4-mapped address in hexadecimal is the IPv4 one',
    '203.0.113.9, ::ffff:a00:7',
    '203.0.113.9',
    '203.0.113.9, 10.0.0.7, 10.0.0.1',
  ],
  ['a zone is no part of an address', 'fe80::1%eth0', 'fe80::1', 'fe80::1, 10.0.0.1'],
  ['unknown is nobody in particular', 'unknown', 'unknown', 'unknown, 10.0.0.1'],
  ['what is left of an unknown hop is not believed', '203.0.113.9, unknown', 'unknown', 'unknown, 10.0.0.1'],
  ['garbage is as good as unknown', '"><script>', 'unknown', 'unknown, 10.0.0.1'],
  ['a host name is no address', 'localhost', 'unknown', 'unknown, 10.0.0.1'],
  ['a number that is no address is unknown', '999.1.1.1', 'unknown', 'unknown, 10.0.0.1'],
  ['a quoted string is no address', '"203.0.113.9"', 'unknown', 'unknown, 10.0.0.1'],
  ['something after the port is not swallowed', '203.0.113.9:80;for=1.1.1.1', 'unknown', 'unknown, 10.0.0.1'],
] as const) {
  test(`in X-Forwarded-For from a trusted proxy, ${what}`, (t) => {
    const caller = behindProxy(requestFrom('10.0.0.1', { 'X-Forwarded-For': list }))
    t.is(caller.address, address)
    t.is(caller.chain, chain)
  })
}

test('an IPv4 proxy on a dual-stack socket is recognised', (t) => {
  const caller = behindProxy(requestFrom('::ffff:10.0.0.1', { 'X-Forwarded-For': '203.0.113.9' }))
  t.is(caller.chain, '203.0.113.9, 10.0.0.1')
})

test('a mapped address among the trusted proxies is the IPv4 one', (t) => {
  const identify = createIdentifyCaller(['::ffff:10.0.0.1/128'])
  t.is(identify(requestFrom('::ffff:10.0.0.1', { 'X-Forwarded-For': '203.0.113.9' })).address, '203.0.113.9')
})

test('a link-local peer is looked up without its zone', (t) => {
  const identify = createIdentifyCaller(['fe80::/10'])
  t.is(identify(requestFrom('fe80::1%eth0', { 'X-Forwarded-For': '203.0.113.9' })).address, '203.0.113.9')
})

test('a connection that is gone already has an unknown caller', (t) => {
  for (const identify of [direct, behindProxy]) {
    const caller = identify(requestFrom(undefined, { 'X-Forwarded-For': '203.0.113.9' }))
    t.is(caller.address, 'unknown')
    t.is(forwardedIdentity(caller, 'id').forwarded, 'for=unknown;proto=http')
  }
})

test('of several protocols and hosts the nearest proxy’s word counts', (t) => {
  const caller = behindProxy(
    requestFrom('10.0.0.1', {
      'X-Forwarded-Proto': 'https, http',
      'X-Forwarded-Host': 'evil.example, a.example',
    }),
  )
  t.is(caller.proto, 'http')
  t.is(caller.host, 'a.example')
})

test('the protocol is read in any case, and only http and https are ones', (t) => {
  t.is(behindProxy(requestFrom('10.0.0.1', { 'X-Forwarded-Proto': 'HTTPS' })).proto, 'https')
  t.is(behindProxy(requestFrom('10.0.0.1', { 'X-Forwarded-Proto': 'gopher' })).proto, 'http')
})

for (const host of ['a"b', 'a, b', 'a;b', 'a b', 'a/b', 'user@a', 'a:b', 'a:123456', '[::1', 'é', '']) {
  test(`the host ${JSON.stringify(host)} is passed on to nobody`, (t) => {
    t.is(direct(requestFrom('203.0.113.9', { Host: host })).host, undefined)
    const caller = behindProxy(requestFrom('10.0.0.1', { Host: 'own.example', 'X-Forwarded-Host': host }))
    t.is(caller.host, host === 'a, b' ? 'b' : 'own.example')
  })
}

test('the host of an absolute request target wins over the Host header (RFC 9112 §3.2.2)', (t) => {
  const caller = direct(requestFrom('203.0.113.9', { Host: 'a.example' }, 'http://b.example:81/api'))
  t.is(caller.host, 'b.example:81')
})

/** RFC 7239 §4, with RFC 9110's token and quoted-string. */
const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const pair = `${token}=(?:${token}|"(?:[^"\\\\]|\\\\.)*")`
const element = `${pair}(?:;${pair})*`
const forwardedSyntax = new RegExp(`^${element}(?:, ${element})*$`)
/** RFC 7239 §6, unquoted. */
const node = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\]|unknown)$/i

test('Forwarded is valid by RFC 7239 whatever was sent', (t) => {
  const lists = [
    '',
    ',',
    '203.0.113.9',
    '2a00::1',
    '[2a00::1]:80',
    '1.2.3.4:80',
    'unknown',
    '_hidden',
    'a"b',
    'for=x;by=y',
  ]
  const hosts = ['a.example', 'a.example:80', '[::1]:80', 'a"b', '', 'é']
  for (const first of lists) {
    for (const second of lists) {
      for (const host of hosts) {
        const request = requestFrom('10.0.0.1', { Host: host, 'X-Forwarded-For': `${first}, ${second}` })
        const { forwarded, forwardedFor } = forwardedIdentity(behindProxy(request), 'id')
        t.regex(forwarded, forwardedSyntax)
        const nodes = [...forwarded.matchAll(/for=(?:"([^"]*)"|([^;,]*))/g)].map(
          (match) => match[1] ?? match[2]!,
        )
        for (const one of nodes) t.regex(one, node)
        t.is(nodes.length, forwardedFor.split(', ').length)
      }
    }
  }
})

test('IPv6 addresses are bracketed and quoted, IPv4 ones are not', (t) => {
  const request = requestFrom('10.0.0.1', { Host: 'a.example', 'X-Forwarded-For': '2a00::1' })
  t.is(
    forwardedIdentity(behindProxy(request), 'id').forwarded,
    'for="[2a00::1]", for=10.0.0.1;host="a.example";proto=http',
  )
})

test('a house is told of the client by a trusted proxy, and garbage from it breaks nothing', async (t) => {
  const received: (string | string[] | undefined)[] = []
  const house = await httpUpstream(t, (request, response) => {
    received.push(request.headers['x-forwarded-for'], request.headers.forwarded)
    response.end()
  })
  const { url, access } = await startGatewayFor(t, house.origin, {}, { TRUSTED_PROXIES: '127.0.0.1' })
  for (const list of ['203.0.113.9:5678', 'garbage', 'unknown', '"', ',,', '::1%lo', '1.2.3.4, [::1', '0']) {
    const response = await fetch(`${url}/api/house`, { headers: { 'X-Forwarded-For': list } })
    t.is(response.status, 200, list)
  }
  t.deepEqual(received.slice(0, 4), [
    '203.0.113.9, 127.0.0.1',
    `for=203.0.113.9, for=127.0.0.1;host="${new URL(url).host}";proto=http`,
    'unknown, 127.0.0.1',
    `for=unknown, for=127.0.0.1;host="${new URL(url).host}";proto=http`,
  ])
  t.is(access[0]?.clientAddress, '203.0.113.9')
})

test('a WebSocket handshake with garbage in X-Forwarded-For does not crash the gateway', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.writeHead(404).end())
  const { url, port } = await startGatewayFor(t, house.origin, {}, { TRUSTED_PROXIES: '127.0.0.1' })
  const client = await rawClient(t, port)
  client.send(
    'GET /api/house HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Forwarded-For: garbage\r\n\r\n',
  )
  t.regex((await client.ended()).text, /^HTTP\/1\.1 404 /)
  t.is((await fetch(`${url}/livez`)).status, 200)
})
