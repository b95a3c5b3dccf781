import test, { type ExecutionContext } from 'ava'
import type { DnsOptions } from '../../../src/discovery/dns/settings.ts'
import { dnsVariables } from '../../../src/discovery/dns/settings.ts'
import type { Service } from '../../../src/discovery/source.ts'
import { createDnsSource, dnsSource } from '../../../src/discovery/sources/dns.ts'
import { startDnsServer, type TestDnsServer } from '../../support/dns-server.ts'
import { watchSource } from '../../support/watch-source.ts'

/** Fast enough for a test, slow enough for a busy machine to answer the first try. */
const source = createDnsSource({ floorMs: 20, ceilingMs: 100, tryMs: 400 })

type Urls = Record<string, string[]>

function watch(t: ExecutionContext, server: TestDnsServer | undefined, urls: Urls, refreshMs = 20) {
  const options: DnsOptions = {
    refreshMs,
    servers: server === undefined ? [] : [server.address],
    urls: new Map(Object.entries(urls)),
  }
  return watchSource(t, source, options)
}

const any = () => true

function originsOf(services: readonly Service[] | undefined, name: string): readonly string[] {
  return services?.find((service) => service.name === name)?.instances.map(({ origin }) => origin) ?? []
}

function settingsOf(environment: Record<string, string>) {
  return dnsSource.settings.safeParse({ environment, urls: new Map() })
}

test('every A and AAAA address of a name is an instance', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth', { A: ['127.0.0.3', '127.0.0.2'], AAAA: ['fd00::5'] })
  const watched = watch(t, server, { auth: ['http://auth:8000'] })
  t.deepEqual(await watched.until(any), [
    {
      name: 'auth',
      instances: [
        { id: 'http://127.0.0.2:8000', origin: 'http://127.0.0.2:8000' },
        { id: 'http://127.0.0.3:8000', origin: 'http://127.0.0.3:8000' },
        { id: 'http://[fd00::5]:8000', origin: 'http://[fd00::5]:8000' },
      ],
      description: {},
    },
  ])
})

test('a URL without a port keeps its scheme’s own', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth', { A: ['127.0.0.2'] })
  const watched = watch(t, server, { auth: ['http://auth'] })
  await watched.until(any)
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), ['http://127.0.0.2'])
})

test('an https instance keeps the name that its certificate bears', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth.example', { A: ['127.0.0.2'] })
  const watched = watch(t, server, { auth: ['https://auth.example:8443'] })
  const [service] = await watched.until(any)
  t.deepEqual(service?.instances, [
    { id: 'https://127.0.0.2:8443', origin: 'https://127.0.0.2:8443', serverName: 'auth.example' },
  ])
})

test('an SRV name gives the addresses and ports of its targets of the lowest priority', async (t) => {
  const server = await startDnsServer(t)
  server.answer('_http._tcp.auth.test', {
    SRV: [
      { target: 'one.test', port: 8001, priority: 5 },
      { target: 'two.test', port: 8002, priority: 5, weight: 10 },
      { target: 'spare.test', port: 8003, priority: 9 },
    ],
  })
  server.answer('one.test', { A: ['127.0.0.2'] })
  server.answer('two.test', { A: ['127.0.0.3'], AAAA: ['fd00::3'] })
  server.answer('spare.test', { A: ['127.0.0.4'] })
  const watched = watch(t, server, { auth: ['srv+http://_http._tcp.auth.test'] })
  await watched.until(any)
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), [
    'http://127.0.0.2:8001',
    'http://127.0.0.3:8002',
    'http://[fd00::3]:8002',
  ])
})

test('an https SRV instance is verified by the configured name, not by the target that DNS answered', async (t) => {
  const server = await startDnsServer(t)
  server.answer('_https._tcp.auth.test', { SRV: [{ target: 'node-7.test', port: 8443 }] })
  server.answer('node-7.test', { A: ['127.0.0.2'] })
  const watched = watch(t, server, { auth: ['srv+https://_https._tcp.auth.test'] })
  const [service] = await watched.until(any)
  t.is(service?.instances[0]?.serverName, 'auth.test')
})

test('an SRV target that cannot be resolved does not take the others with it', async (t) => {
  const server = await startDnsServer(t)
  const targets = [
    { target: 'one.test', port: 8001 },
    { target: 'two.test', port: 8002 },
  ]
  server.answer('_http._tcp.auth.test', { SRV: targets })
  server.answer('one.test', { A: ['127.0.0.2'] })
  server.answer('two.test', { A: ['127.0.0.3'] })
  const watched = watch(t, server, { auth: ['srv+http://_http._tcp.auth.test'] })
  await watched.until(any)
  server.fail('two.test', 'SERVFAIL')
  server.answer('one.test', { A: ['127.0.0.9'] })
  await watched.until((services) => originsOf(services, 'auth').includes('http://127.0.0.9:8001'))
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), ['http://127.0.0.3:8002', 'http://127.0.0.9:8001'])
})

test('an SRV record whose target is "." keeps the last known instances', async (t) => {
  const server = await startDnsServer(t)
  server.answer('_http._tcp.auth.test', { SRV: [{ target: 'one.test', port: 8001 }] })
  server.answer('one.test', { A: ['127.0.0.2'] })
  const watched = watch(t, server, { auth: ['srv+http://_http._tcp.auth.test'] })
  await watched.until(any)
  server.answer('_http._tcp.auth.test', { SRV: [{ target: '.', port: 0 }] })
  await watched.warned(/last known/)
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), ['http://127.0.0.2:8001'])
})

test('a literal address passes through and is never asked for', async (t) => {
  const server = await startDnsServer(t)
  const watched = watch(t, server, { auth: ['http://127.0.0.7:8001', 'https://[::1]:8002'] })
  t.deepEqual(await watched.until(any), [
    {
      name: 'auth',
      instances: [
        { id: 'http://127.0.0.7:8001', origin: 'http://127.0.0.7:8001' },
        { id: 'https://[::1]:8002', origin: 'https://[::1]:8002' },
      ],
      description: {},
    },
  ])
  t.is(server.asked('127.0.0.7'), 0)
})

test('without DNS_SERVER the system’s resolver is asked, which knows localhost', async (t) => {
  const watched = watch(t, undefined, { auth: ['http://localhost:8001'] })
  await watched.until(any)
  const loopback = ['http://127.0.0.1:8001', 'http://[::1]:8001']
  t.true(originsOf(watched.snapshots.at(-1), 'auth').length > 0)
  t.deepEqual(
    originsOf(watched.snapshots.at(-1), 'auth').filter((origin) => !loopback.includes(origin)),
    [],
  )
})

test('localhost is never asked of a DNS server', async (t) => {
  const server = await startDnsServer(t)
  server.answer('localhost', { A: ['192.0.2.1'] })
  const watched = watch(t, server, { auth: ['http://localhost:8001'] })
  await watched.until(any)
  t.is(server.asked('localhost'), 0)
  t.false(originsOf(watched.snapshots.at(-1), 'auth').includes('http://192.0.2.1:8001'))
})

test('changed records are published within the refresh, even where they could live longer', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth', { A: ['127.0.0.2'], ttl: 3600 })
  const watched = watch(t, server, { auth: ['http://auth:8000'] })
  await watched.until(any)
  server.answer('auth', { A: ['127.0.0.3'], ttl: 3600 })
  await watched.until((services) => originsOf(services, 'auth')[0] === 'http://127.0.0.3:8000')
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), ['http://127.0.0.3:8000'])
})

test('a record that lives shorter than the refresh is asked for again when it dies', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth', { A: ['127.0.0.2'], ttl: 0 })
  const watched = watch(t, server, { auth: ['http://auth:8000'] }, 3_600_000)
  await watched.until(any)
  server.answer('auth', { A: ['127.0.0.3'], ttl: 0 })
  await watched.until((services) => originsOf(services, 'auth')[0] === 'http://127.0.0.3:8000')
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), ['http://127.0.0.3:8000'])
})

test('the order of the records means nothing', async (t) => {
  const server = await startDnsServer(t)
  const addresses = ['127.0.0.4', '127.0.0.2', '127.0.0.3']
  server.answer('auth', { A: addresses })
  const watched = watch(t, server, { auth: ['http://auth:8000'] })
  const first = await watched.until(any)
  server.answer('auth', { A: addresses.toReversed() })
  await watched.until(any, watched.snapshots.length + 2)
  for (const later of watched.snapshots) t.deepEqual(later, first)
})

test('a server gone silent leaves the instances as they were', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth', { A: ['127.0.0.2'] })
  const watched = watch(t, server, { auth: ['http://auth:8000'] })
  await watched.until(any)
  server.silence()
  await watched.warned(/ETIMEOUT/)
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), ['http://127.0.0.2:8000'])
})

test('a name that is taken away keeps its instances', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth', { A: ['127.0.0.2'] })
  const watched = watch(t, server, { auth: ['http://auth:8000'] })
  await watched.until(any)
  server.remove('auth')
  await watched.warned(/ENOTFOUND/)
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), ['http://127.0.0.2:8000'])
})

test('a name without any address left keeps its instances', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth', { A: ['127.0.0.2'] })
  const watched = watch(t, server, { auth: ['http://auth:8000'] })
  await watched.until(any)
  server.answer('auth', {})
  await watched.warned(/ENODATA/)
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), ['http://127.0.0.2:8000'])
})

test('one family’s failure keeps that family’s addresses and takes over the other’s', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth', { A: ['127.0.0.2'], AAAA: ['fd00::2'] })
  const watched = watch(t, server, { auth: ['http://auth:8000'] })
  await watched.until(any)
  server.answer('auth', { A: ['127.0.0.3'] })
  server.fail('auth', 'SERVFAIL', ['AAAA'])
  await watched.until((services) => originsOf(services, 'auth').includes('http://127.0.0.3:8000'))
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), ['http://127.0.0.3:8000', 'http://[fd00::2]:8000'])
})

test('a family that is gone for good is dropped', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth', { A: ['127.0.0.2'], AAAA: ['fd00::2'] })
  const watched = watch(t, server, { auth: ['http://auth:8000'] })
  await watched.until(any)
  server.answer('auth', { A: ['127.0.0.2'] })
  await watched.until((services) => originsOf(services, 'auth').length === 1)
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), ['http://127.0.0.2:8000'])
})

test('a fault is logged once however often the name is asked for, and anew after it was gone', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth', { A: ['127.0.0.2'] })
  const watched = watch(t, server, { auth: ['http://auth:8000'] })
  await watched.until(any)
  server.fail('auth', 'SERVFAIL')
  await watched.warned(/ESERVFAIL/)
  // Each failure is an A and an AAAA question, which c-ares tries twice.
  await server.reached('auth', server.asked('auth') + 9)
  server.answer('auth', { A: ['127.0.0.3'] })
  await watched.until((services) => originsOf(services, 'auth')[0] === 'http://127.0.0.3:8000')
  server.remove('auth')
  await watched.warned(/ENOTFOUND/)
  t.deepEqual(watched.warnings, [
    'dns: auth: its last known addresses are kept: ESERVFAIL',
    'dns: auth: its last known addresses are kept: ENOTFOUND',
  ])
})

test('a failure is no sign of life: nothing is published while no name is answered for', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth', { A: ['127.0.0.2'] })
  const watched = watch(t, server, { auth: ['http://auth:8000'] })
  await watched.until(any)
  server.remove('auth')
  await watched.warned(/ENOTFOUND/)
  const published = watched.snapshots.length
  await server.reached('auth', server.asked('auth') + 5)
  t.is(watched.snapshots.length, published)
})

test('when no name can be resolved the watch rejects and publishes nothing', async (t) => {
  const server = await startDnsServer(t)
  server.fail('auth', 'SERVFAIL')
  const watched = watch(t, server, { auth: ['http://auth:8000'], users: ['http://users:8000'] })
  const error = await watched.ended
  t.true(error instanceof Error)
  t.is((error as Error).message, 'no name could be resolved: auth (ESERVFAIL), users (ENOTFOUND)')
  t.deepEqual(watched.snapshots, [])
  t.deepEqual(watched.warnings, [])
})

test('a name that fails at the start does not hold back those that were resolved', async (t) => {
  const server = await startDnsServer(t)
  server.answer('users', { A: ['127.0.0.3'] })
  server.fail('auth', 'SERVFAIL')
  const watched = watch(t, server, { auth: ['http://auth:8000'], users: ['http://users:8000'] })
  await watched.until(any)
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), [])
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'users'), ['http://127.0.0.3:8000'])
  t.is(await watched.warned(/auth/), 'dns: auth: it has no address yet: ESERVFAIL')
})

test('a name that failed at the start is published once it resolves', async (t) => {
  const server = await startDnsServer(t)
  server.answer('users', { A: ['127.0.0.3'] })
  const watched = watch(t, server, { auth: ['http://auth:8000'], users: ['http://users:8000'] })
  await watched.until(any)
  server.answer('auth', { A: ['127.0.0.2'] })
  await watched.until((services) => originsOf(services, 'auth').length > 0)
  t.deepEqual(originsOf(watched.snapshots.at(-1), 'auth'), ['http://127.0.0.2:8000'])
})

test('the first snapshot waits for the first answer or failure of every name', async (t) => {
  const server = await startDnsServer(t)
  server.answer('users', { A: ['127.0.0.3'] })
  server.fail('auth', 'silence')
  const watched = watch(t, server, { auth: ['http://auth:8000'], users: ['http://users:8000'] })
  const services = await watched.until(any)
  t.true(server.asked('auth') >= 4, 'both tries of the A and the AAAA question are over')
  t.deepEqual(originsOf(services, 'users'), ['http://127.0.0.3:8000'])
  t.is(await watched.warned(/auth/), 'dns: auth: it has no address yet: ETIMEOUT')
})

test('the first snapshot does not wait for ever for a name that neither answers nor fails', async (t) => {
  const patient = createDnsSource({ tryMs: 600_000, patienceMs: 100 })
  const server = await startDnsServer(t)
  server.answer('users', { A: ['127.0.0.3'] })
  server.fail('auth', 'silence')
  const urls = new Map([
    ['auth', ['http://auth:8000']],
    ['users', ['http://users:8000']],
  ])
  const watched = watchSource(t, patient, { refreshMs: 5000, servers: [server.address], urls })
  const services = await watched.until(any)
  t.deepEqual(originsOf(services, 'users'), ['http://127.0.0.3:8000'])
  t.deepEqual(originsOf(services, 'auth'), [])
  t.deepEqual(watched.warnings, [])
})

test('a failing name does not slow the others down', async (t) => {
  const server = await startDnsServer(t)
  server.answer('users', { A: ['127.0.0.3'] })
  server.answer('auth', { A: ['127.0.0.2'] })
  const watched = watch(t, server, { auth: ['http://auth:8000'], users: ['http://users:8000'] })
  await watched.until(any)
  server.fail('auth', 'silence')
  server.answer('users', { A: ['127.0.0.4'] })
  await watched.until((services) => originsOf(services, 'users')[0] === 'http://127.0.0.4:8000')
  t.deepEqual(watched.warnings, [])
})

test('a question without an answer does not delay the end', async (t) => {
  const patient = createDnsSource({ tryMs: 60_000 })
  const server = await startDnsServer(t)
  server.silence()
  const urls = new Map([['auth', ['http://auth:8000', 'srv+http://_http._tcp.auth']]])
  const watched = watchSource(t, patient, { refreshMs: 5000, servers: [server.address], urls })
  await server.reached('auth', 1)
  const stoppedAt = performance.now()
  t.is(await watched.stop(), undefined)
  t.true(performance.now() - stoppedAt < 60_000)
})

test('a URL that two services share is asked for once', async (t) => {
  const server = await startDnsServer(t)
  server.answer('shared', { A: ['127.0.0.2'] })
  const watched = watch(t, server, { a: ['http://shared:1'], b: ['http://shared:1'] }, 3_600_000)
  await watched.until(any)
  t.deepEqual(
    [originsOf(watched.snapshots.at(-1), 'a'), originsOf(watched.snapshots.at(-1), 'b')],
    [['http://127.0.0.2:1'], ['http://127.0.0.2:1']],
  )
  t.is(server.asked('shared'), 2, 'one A and one AAAA question')
})

test('names are refreshed every 5 s by the system’s resolver unless somebody says otherwise', (t) => {
  const { data } = settingsOf({})
  t.like(data, { refreshMs: 5000, servers: [] })
  t.is(dnsVariables.DNS_REFRESH.default, '5s')
})

test('servers are read from DNS_SERVER with and without ports', (t) => {
  const { data } = settingsOf({ DNS_REFRESH: '1m', DNS_SERVER: '127.0.0.1:8600, [::1]:53,10.0.0.2' })
  t.like(data, { refreshMs: 60_000, servers: ['127.0.0.1:8600', '[::1]:53', '10.0.0.2'] })
})

for (const [variable, text] of [
  ['DNS_REFRESH', 'soon'],
  ['DNS_REFRESH', '100ms'],
  ['DNS_REFRESH', '2h'],
  ['DNS_SERVER', 'dns.example:53'],
  ['DNS_SERVER', '127.0.0.1:99999'],
  ['DNS_SERVER', '127.0.0.1:0'],
  ['DNS_SERVER', ','],
] as const) {
  test(`${variable}=${text} is refused by name`, (t) => {
    const issues = settingsOf({ [variable]: text }).error?.issues ?? []
    t.deepEqual(
      issues.map((issue) => issue.path),
      [['environment', variable]],
    )
    t.regex(issues[0]?.message ?? '', /^expected /)
  })
}

test('every address of a name has the weight that its URL says', async (t) => {
  const server = await startDnsServer(t)
  server.answer('auth', { A: ['127.0.0.2', '127.0.0.3'] })
  const watched = watch(t, server, {
    auth: ['http://auth:8000; weight=3', 'http://127.0.0.9:8000; weight=2'],
  })
  const [service] = await watched.until(any)
  t.deepEqual(
    service?.instances.map(({ origin, weight }) => [origin, weight]),
    [
      ['http://127.0.0.2:8000', 3],
      ['http://127.0.0.3:8000', 3],
      ['http://127.0.0.9:8000', 2],
    ],
  )
})

for (const [weights, expected] of [
  [
    [30, 10],
    [30, 10],
  ],
  [
    [50, 50],
    [undefined, undefined],
  ],
  [
    [0, 0],
    [undefined, undefined],
  ],
  // RFC 2782: a very small chance beside the others.
  [
    [5, 0],
    [5, 0.1],
  ],
] as const) {
  test(`SRV records of weight ${weights.join(' and ')} weigh ${expected.join(' and ')}`, async (t) => {
    const server = await startDnsServer(t)
    server.answer('_http._tcp.auth.test', {
      SRV: weights.map((weight, index) => ({ target: `${index}.test`, port: 8001, weight })),
    })
    server.answer('0.test', { A: ['127.0.0.2'] })
    server.answer('1.test', { A: ['127.0.0.3'] })
    const watched = watch(t, server, { auth: ['srv+http://_http._tcp.auth.test'] })
    const [service] = await watched.until(any)
    t.deepEqual(
      service?.instances.map(({ weight }) => weight),
      [...expected],
    )
  })
}
