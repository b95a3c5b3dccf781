import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import type { ConfiguredSource } from '../../../src/config/config.ts'
import type { KubernetesTiming } from '../../../src/discovery/kubernetes/follow-namespaces.ts'
import type { Service } from '../../../src/discovery/source.ts'
import { createKubernetesSource } from '../../../src/discovery/sources/kubernetes.ts'
import { createWatcher } from '../../../src/discovery/watcher.ts'
import type { Log } from '../../../src/observability/log.ts'
import { calmTest as test } from '../../support/calm.ts'
import { atMost } from '../../support/figures.ts'
import { type KubernetesApi, type SeenCall, startKubernetesApi } from '../../support/kubernetes-api.ts'
import { addresses, service } from '../../support/kubernetes-objects.ts'
import { until } from '../../support/until.ts'

interface Setting {
  readonly api: KubernetesApi
  readonly warnings: readonly string[]
  readonly snapshots: readonly (readonly Service[])[]
  readonly watcher: ReturnType<typeof createWatcher>
  /** Resolves once `auth` has this one address; milliseconds it took. */
  shows(address: string): Promise<number>
  /** Gives `auth` another endpoint and waits until it is used; says how long that took. */
  used(address: string, after: string): Promise<void>
}

interface Given {
  readonly timing?: Partial<KubernetesTiming>
  readonly environment?: Readonly<Record<string, string>>
  readonly user?: Readonly<Record<string, unknown>>
  readonly token?: string
}

/** A source under its watcher, as in the gateway, that knows `auth` at 10.0.0.1 and has both watches open. */
async function arrange(t: ExecutionContext, given: Given = {}): Promise<Setting> {
  const api = await startKubernetesApi(t, given.token === undefined ? {} : { token: given.token })
  api.put('services', service('auth'))
  api.put('endpointslices', addresses('auth', '10.0.0.1'))
  const source = createKubernetesSource(given.timing)
  const options = source.settings.parse({
    environment: { KUBECONFIG: await api.kubeconfig(given.user), ...given.environment },
    urls: new Map(),
  })
  const warnings: string[] = []
  const snapshots: (readonly Service[])[] = []
  const log = { debug() {}, info() {}, warn: (_, text) => void warnings.push(text), error() {} } as Log
  const watcher = createWatcher({
    configured: { source, options } as ConfiguredSource,
    log,
    onChange: () => void snapshots.push(watcher.snapshot()!),
  })
  t.teardown(() => watcher.stop())
  watcher.start()
  async function shows(address: string): Promise<number> {
    const startedAt = performance.now()
    const origin = `http://${address}:8080`
    await until(
      () =>
        watcher
          .snapshot()?.[0]
          ?.instances.map((instance) => instance.origin)
          .join() === origin,
      `auth at ${address}; warnings: ${warnings.join(' | ')}`,
    )
    return performance.now() - startedAt
  }
  async function used(address: string, after: string): Promise<void> {
    api.put('endpointslices', addresses('auth', address))
    const tookMs = await shows(address)
    t.log(`${after}: a new endpoint is used after ${Math.round(tookMs)} ms`)
    t.true(tookMs < atMost(10_000))
    for (const snapshot of snapshots) t.is(snapshot[0]?.instances.length, 1, 'nothing was ever wiped')
  }
  await shows('10.0.0.1')
  await until(() => api.streams.open() > 1, 'the watches are open')
  return { api, warnings, snapshots, watcher, shows, used }
}

const lists = ({ calls }: KubernetesApi) => calls.filter(({ verb }) => verb === 'list').length
const onlyWatches = ({ verb }: Pick<SeenCall, 'verb'>) => verb === 'watch'
const onlyLists = ({ verb }: Pick<SeenCall, 'verb'>) => verb === 'list'

test('410 in the stream has everything listed again', async (t) => {
  const { api, used, warnings } = await arrange(t)
  const before = lists(api)
  api.compact()
  api.streams.error(410)
  await used('10.0.0.2', '410 in the stream')
  t.true(lists(api) > before)
  t.deepEqual(warnings, [])
})

test('a watch from a version that is too old has everything listed again', async (t) => {
  const { api, used, warnings } = await arrange(t)
  const before = lists(api)
  api.compact()
  api.streams.end()
  await used('10.0.0.2', 'a version that is too old')
  t.true(lists(api) > before)
  t.deepEqual(warnings, [])
})

test('a watch that is answered 410 again and again is no busy loop', async (t) => {
  const { api, snapshots } = await arrange(t)
  api.answer(410, onlyWatches)
  api.streams.end()
  const from = api.calls.length
  await sleep(3000)
  const asked = api.calls.length - from
  t.log(`${asked} requests in 3 s for two watches`)
  t.true(asked <= 24, `${asked} requests`)
  t.is(snapshots.length, 1)
})

test('a stream that ends in good order is opened again from where it was, without a list', async (t) => {
  const { api, used } = await arrange(t)
  const before = lists(api)
  // The server ends a watch after minutes, not at once.
  await sleep(1100)
  api.streams.end()
  await used('10.0.0.2', 'the end of the stream')
  t.is(lists(api), before)
})

test('a bookmark moves the version that a new watch begins from', async (t) => {
  const { api, used } = await arrange(t)
  const before = lists(api)
  api.compact()
  api.streams.bookmark()
  api.streams.breakInMidEvent()
  await used('10.0.0.2', 'bookmark, reset')
  t.is(lists(api), before, 'without the bookmark the version would have been too old')
  const watches = api.calls.filter(onlyWatches)
  t.true(watches.every(({ query }) => query.allowWatchBookmarks === 'true'))
  const seconds = watches.map(({ query }) => Number(query.timeoutSeconds))
  t.true(seconds.every((value) => value >= 300 && value <= 600) && new Set(seconds).size > 1, seconds.join())
})

test('a reset in mid-event loses and repeats nothing', async (t) => {
  const { api, used, warnings } = await arrange(t)
  const before = lists(api)
  api.streams.breakInMidEvent()
  await used('10.0.0.2', 'a reset in mid-event')
  t.is(lists(api), before)
  t.deepEqual(warnings, [])
})

for (const [what, text, pattern] of [
  ['an event that is not JSON', 'no event\n', /an event that is not JSON/],
  [
    'an event of an unexpected form',
    '{"type":"ADDED","object":{"metadata":{}}}\n',
    /of an unexpected form at metadata.name/,
  ],
  ['an event without end', 'x'.repeat(9 * 2 ** 20), /an event of more than 8388608 bytes/],
] as const) {
  test(`${what} ends the stream, and what was known stays`, async (t) => {
    const { api, used, warnings } = await arrange(t, { timing: { backoff: { firstMs: 50, mostMs: 100 } } })
    for (let round = 0; round < 3; round++) {
      await until(() => api.streams.open() === 2, 'the watches are open')
      api.streams.write(text)
      await until(() => api.streams.open() < 2, 'the stream is given up')
    }
    await used('10.0.0.2', what)
    await until(() => warnings.length > 0, 'the third in a row is told')
    t.regex(warnings[0] ?? '', /^discovery: kubernetes fails \(serving the last known\): Kubernetes: GET /)
    t.regex(warnings[0] ?? '', pattern)
  })
}

test('a slice that loses its label is no longer of the Service', async (t) => {
  const { api, watcher } = await arrange(t)
  const count = () => watcher.snapshot()?.[0]?.instances.length
  const known = addresses('auth', '10.0.0.1')
  api.put('endpointslices', { ...known, metadata: { ...known.metadata, labels: {} } })
  await until(() => count() === 0, 'the Service has no instance')
  api.put('endpointslices', known)
  await until(() => count() === 1, 'it has one again')
  t.true(watcher.status().state === 'live')
})

test('500 for the new list is waited out, and nothing is wiped', async (t) => {
  const { api, used, watcher, warnings } = await arrange(t)
  api.answer(500, onlyLists)
  api.compact()
  api.streams.error(410)
  await until(() => watcher.status().state === 'failing', 'the source fails')
  await until(() => api.calls.filter(({ status }) => status === 500).length >= 4, 'a few lists have failed')
  api.answer(undefined)
  await used('10.0.0.2', '500 for lists')
  t.regex(warnings.join(), /Kubernetes: GET \/\S+: 500 an error on the server/)
})

test('an API server that is away for a while is found again', async (t) => {
  const { api, used, watcher, warnings } = await arrange(t)
  await api.stop()
  await until(() => watcher.status().state === 'failing', 'the source fails')
  await sleep(4000)
  await api.start()
  await used('10.0.0.2', 'an outage')
  t.true(warnings.length <= 3, `an outage is few lines: ${warnings.join('\n')}`)
})

test('a stream that says nothing any more is noticed', async (t) => {
  const { api, used } = await arrange(t, { timing: { silenceMs: 1500 } })
  api.streams.silence()
  await used('10.0.0.2', 'a stream gone silent, 1.5 s allowed')
})

test('a server that takes requests and never answers is given up in time', async (t) => {
  const { api, used } = await arrange(t, { timing: { headMs: 500 } })
  api.hold(true)
  api.streams.breakInMidEvent()
  await sleep(2000)
  api.hold(false)
  await used('10.0.0.2', 'a server that never answers')
})

test('a token that was swapped is read again at the first 401', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'munjigi-token-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const tokenFile = join(folder, 'token')
  await writeFile(tokenFile, 'first\n')
  const { api, used, warnings } = await arrange(t, { user: { tokenFile }, token: 'first' })
  api.expect('second')
  await writeFile(join(folder, 'next'), 'second\n')
  await rename(join(folder, 'next'), tokenFile)
  api.streams.breakInMidEvent()
  await used('10.0.0.2', 'a swapped token')
  const refused = api.calls.filter(({ status }) => status === 401).length
  t.true(refused === 1 || refused === 2, `${refused} answers of 401 for two watches`)
  t.deepEqual(warnings, [])
})

test('a token that comes late is used when it comes, and is in no log line', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'munjigi-token-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const tokenFile = join(folder, 'token')
  await writeFile(tokenFile, 'hunter-the-first')
  const { api, used, warnings, watcher } = await arrange(t, {
    user: { tokenFile },
    token: 'hunter-the-first',
  })
  api.expect('hunter-the-second')
  api.streams.breakInMidEvent()
  await until(() => watcher.status().state === 'failing', 'the source fails')
  await sleep(2000)
  await writeFile(tokenFile, 'hunter-the-second')
  await used('10.0.0.2', 'a token that came late')
  t.regex(warnings.join(), /401 Unauthorized/)
  t.notRegex(warnings.join(), /hunter/)
})

test('one namespace that is refused is told, keeps what was known, and holds no other up', async (t) => {
  const { api, warnings, watcher } = await arrange(t, {
    environment: { KUBERNETES_NAMESPACE: 'default,shop' },
  })
  api.put('services', service('shop', { namespace: 'shop' }))
  api.put('endpointslices', {
    ...addresses('shop', '10.0.1.1'),
    metadata: { ...addresses('shop').metadata, namespace: 'shop' },
  })
  const origins = () =>
    watcher
      .snapshot()
      ?.flatMap(({ instances }) => instances.map(({ origin }) => origin))
      .join()
  await until(() => origins() === 'http://10.0.0.1:8080,http://10.0.1.1:8080', 'both are known')
  api.answer(403, ({ namespace }) => namespace === 'shop')
  api.compact()
  api.streams.error(410)
  await until(
    () =>
      warnings.some((line) => /namespace shop keeps what was last known.*403 [\w.]+ is forbidden/.test(line)),
    'it is told',
  )
  api.put('endpointslices', addresses('auth', '10.0.0.2'))
  await until(() => origins() === 'http://10.0.0.2:8080,http://10.0.1.1:8080', 'the other is followed on')
  t.is(watcher.status().state, 'live')
  // A whole new watch: what it cannot see it takes from before.
  api.answer(403)
  api.streams.error(410)
  await until(() => watcher.status().state === 'failing', 'no namespace can be followed')
  api.answer(403, ({ namespace }) => namespace === 'shop')
  api.put('endpointslices', addresses('auth', '10.0.0.3'))
  await until(() => origins() === 'http://10.0.0.3:8080,http://10.0.1.1:8080', 'the other is followed again')
  t.is(watcher.status().state, 'live')
})

test('a namespace that cannot be seen loses its services’ names to no other, also through a new watch', async (t) => {
  const { api, watcher } = await arrange(t, { environment: { KUBERNETES_NAMESPACE: 'default,shop' } })
  const inShop = (...list: readonly string[]) => {
    const slice = addresses('auth', ...list)
    return { ...slice, metadata: { ...slice.metadata, namespace: 'shop' } }
  }
  api.put('services', service('auth', { namespace: 'shop' }))
  api.put('endpointslices', inShop('10.0.1.1'))
  const places = () =>
    watcher
      .snapshot()
      ?.map(({ name, instances }) => `${name} ${instances.map(({ origin }) => origin).join()}`)
      .join(', ')
  const both = 'auth http://10.0.0.1:8080, auth.shop http://10.0.1.1:8080'
  await until(() => places() === both, `both are known, not ${places()}`)
  api.answer(403)
  api.compact()
  api.streams.error(410)
  await until(() => watcher.status().state === 'failing', 'no namespace can be followed')
  api.answer(403, ({ namespace }) => namespace === 'default')
  api.put('endpointslices', inShop('10.0.1.2'))
  await until(() => places()?.includes('10.0.1.2') === true, 'the other is followed again')
  t.is(places(), 'auth http://10.0.0.1:8080, auth.shop http://10.0.1.2:8080')
})

test('lists are read page by page, and anew in one piece where the pages expire', async (t) => {
  const api = await startKubernetesApi(t)
  const count = 1201
  for (let index = 0; index < count; index++) api.put('services', service(`house-${index}`))
  const source = createKubernetesSource()
  const options = source.settings.parse({
    environment: { KUBECONFIG: await api.kubeconfig() },
    urls: new Map(),
  })
  const run = () => {
    const stopping = new AbortController()
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    return new Promise<number>((resolve, reject) => {
      t.teardown(() => stopping.abort())
      const done = (services: readonly Service[]) => {
        stopping.abort()
        resolve(services.length)
      }
      source.watch(options, done, { log, fail() {}, signal: stopping.signal }).catch(reject)
    })
  }
  t.is(await run(), count)
  const pages = () => api.calls.filter(({ kind, verb }) => kind === 'services' && verb === 'list')
  t.deepEqual(
    pages().map(({ query }) => query.limit),
    ['500', '500', '500'],
  )
  api.answer(410, ({ query }) => query.continue !== undefined)
  t.is(await run(), count)
  t.deepEqual(
    pages()
      .slice(3)
      .map(({ query, status }) => [query.limit, status]),
    [
      ['500', 200],
      ['500', 410],
      [undefined, 200],
    ],
  )
})
