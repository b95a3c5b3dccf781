import { setImmediate as immediate } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { z } from 'zod'
import type { ConfiguredSource } from '../../src/config/config.ts'
import type { DiscoverySource, Service, SourceInput } from '../../src/discovery/source.ts'
import { createWatcher } from '../../src/discovery/watcher.ts'
import type { SourceNews } from '../../src/workers/messages.ts'
import { createRelay } from '../../src/workers/relay.ts'
import { createSourceFeed } from '../../src/workers/relayed-source.ts'
import { handSource, recordedLog, service } from '../support/hand-source.ts'

/** A primary with one source, and what it tells. */
function primary(t: ExecutionContext, hand = handSource(), configured: ConfiguredSource = hand.configured) {
  const news: SourceNews[] = []
  const retired: number[] = []
  let time = 0
  const relay = createRelay({
    sources: [configured],
    // As over a channel: what arrives is a copy.
    tell: (one) => news.push(structuredClone(one)),
    retire: (generation) => retired.push(generation),
    log: recordedLog(),
    now: () => time,
  })
  t.teardown(() => relay.stop())
  relay.start()
  return { hand, relay, news, retired, pass: (ms: number) => (time += ms) }
}

/** What a worker makes of that. */
function worker(
  t: ExecutionContext,
  first: readonly SourceNews[],
  source: DiscoverySource,
  options: unknown = null,
) {
  const feed = createSourceFeed(structuredClone(first))
  const relayed = feed.relayed({ [source.name]: source })[source.name]!
  let changes = 0
  const watcher = createWatcher({
    configured: { source: relayed, options },
    log: recordedLog(),
    onChange: () => (changes += 1),
  })
  t.teardown(() => watcher.stop())
  watcher.start()
  return { feed, watcher, changes: () => changes }
}

const a = service('a', ['http://127.0.0.1:1'])
const b = service('b', ['http://127.0.0.1:2'])

test('of a snapshot only what has changed is told, and what is gone by its name', (t) => {
  const { hand, news } = primary(t)
  const c = service('c', ['http://127.0.0.1:3'])
  hand.publish([a, b])
  hand.publish([a, c])
  t.deepEqual(
    news.map(({ changed, gone }) => ({ changed, gone })),
    [
      { changed: [a, b], gone: [] },
      { changed: [c], gone: ['b'] },
    ],
  )
})

test('the same again is told once a second, without a service', (t) => {
  const { hand, news, pass } = primary(t)
  hand.publish([a])
  for (let i = 0; i < 10; i++) hand.publish([a])
  t.is(news.length, 1)
  pass(1000)
  hand.publish([a])
  t.is(news.length, 2)
  t.like(news[1], { changed: [], gone: [], error: undefined })
})

test('a worker has the snapshot of the primary, whatever has been told one by one', (t) => {
  const { hand, relay, news } = primary(t)
  const { feed, watcher } = worker(t, relay.everything(), hand.configured.source)
  t.is(watcher.snapshot(), undefined)
  const moved = service('a', ['http://127.0.0.1:9'])
  for (const snapshot of [[a], [a, b], [b], [moved, b]]) hand.publish(snapshot)
  for (const one of news) feed.take(one)
  t.deepEqual(watcher.snapshot(), [moved, b])
})

test('what has not changed is the very same service in the worker', (t) => {
  const { hand, relay, news } = primary(t)
  const { feed, watcher } = worker(t, relay.everything(), hand.configured.source)
  hand.publish([a])
  hand.publish([a, b])
  feed.take(news[0]!)
  const [before] = watcher.snapshot()!
  feed.take(news[1]!)
  t.is(watcher.snapshot()![0], before)
})

test('a worker that joins later knows all at once, and how old it is', async (t) => {
  const { hand, relay } = primary(t)
  hand.publish([a, b])
  const [known] = relay.everything()
  const { watcher } = worker(t, [{ ...known!, heardAt: 1234 }], hand.configured.source)
  t.deepEqual(watcher.snapshot(), [a, b])
  t.like(watcher.status(), { state: 'live', lastHeardAt: 1234 })
})

test('a source that fails is failing in the workers, those that join too, until it answers again', async (t) => {
  const { hand, relay, news } = primary(t)
  const early = worker(t, relay.everything(), hand.configured.source)
  hand.publish([a])
  const heardAt = news[0]!.heardAt
  hand.end(new Error('the agent is gone'))
  await immediate()
  await immediate()
  for (const one of news) early.feed.take(one)
  const late = worker(t, relay.everything(), hand.configured.source)
  for (const { watcher } of [early, late]) {
    t.like(watcher.status(), { state: 'failing', lastError: 'the agent is gone', lastHeardAt: heardAt })
    t.deepEqual(watcher.snapshot(), [a])
  }
  t.is(early.changes(), 1)

  await hand.started()
  hand.publish([a])
  const again = news.at(-1)!
  for (const { feed, watcher } of [early, late]) {
    feed.take(again)
    t.like(watcher.status(), { state: 'live', lastError: undefined })
  }
})

test('a source that fails before it has ever spoken leaves a worker starting, with the reason', async (t) => {
  const { hand, relay, news } = primary(t)
  hand.end(new Error('refused'))
  await immediate()
  await immediate()
  t.is(news.length, 1)
  const { watcher } = worker(t, relay.everything(), hand.configured.source)
  t.like(watcher.status(), { state: 'starting', lastError: 'refused', lastHeardAt: undefined })
  t.false(relay.ready())
})

test('settings that gateway.yaml has changed are heard by who has taken them over, not before', (t) => {
  const settings = z.custom<SourceInput>()
  const first = handSource('dns')
  const second = handSource('dns')
  const source = { ...first.configured.source, settings, takesUrls: true }
  const { relay, news, retired } = primary(t, first, { source, options: { urls: ['a'] } })
  first.publish([a])
  const old = worker(t, relay.everything(), source, { urls: ['a'] })
  const changed = worker(t, relay.everything(), source, { urls: ['b'] })
  relay.reload([
    { source: { ...second.configured.source, settings, takesUrls: true }, options: { urls: ['b'] } },
  ])
  t.deepEqual([old.watcher.snapshot(), changed.watcher.snapshot()], [[a], undefined])
  t.deepEqual(retired, [], 'the old one goes on until the new one has spoken')

  second.publish([b])
  for (const one of news) for (const { feed } of [old, changed]) feed.take(one)
  t.deepEqual([old.watcher.snapshot(), changed.watcher.snapshot()], [[a], [b]])
  t.deepEqual(retired, [1])
  t.is(relay.everything().length, 1)
})

test('a source that has nothing to ask is each worker’s own', (t) => {
  const hand = handSource()
  const source = { ...hand.configured.source, isFixed: true }
  const { relay } = primary(t, hand, { source, options: undefined })
  t.deepEqual(relay.everything(), [])
  t.true(relay.ready())
  t.is(createSourceFeed([]).relayed({ hand: source }).hand, source)
})

test('a change of one of 1000 services is one service on the channel', (t) => {
  const { hand, news } = primary(t)
  const many = Array.from(
    { length: 1000 },
    (_, index): Service => service(`s${index}`, [`http://10.0.0.1:${index + 1}`]),
  )
  hand.publish(many)
  hand.publish(many.with(500, service('s500', ['http://10.0.0.2:1'])))
  t.is(news[1]!.changed.length, 1)
})
