import test from 'ava'
import type { Log } from '../../src/observability/log.ts'
import { createOutlierDetection } from '../../src/proxy/outlier.ts'
import type { Upstream } from '../../src/proxy/upstreams.ts'

function setUp(t: { teardown(fn: () => void): void }, count: number) {
  const messages: string[] = []
  const say = (_fields: unknown, message: string) => void messages.push(message)
  const log: Log = { debug: say, info: say, warn: say, error: say }
  const outliers = createOutlierDetection({ log })
  t.teardown(() => outliers.stop())
  const all = Array.from(
    { length: count },
    (_, i) =>
      ({
        address: `house-${i}`,
        inFlight: 0,
        consecutiveFailures: 0,
        ejections: 0,
        ejectedUntil: 0,
      }) as Upstream,
  )
  const group = outliers.group('house', all)
  const fail = (upstream: Upstream, times: number) => {
    for (let i = 0; i < times; i += 1) outliers.failed(group, upstream)
  }
  return { outliers, group, all, fail, messages }
}

test('four failures in a row do not eject an instance, the fifth does', (t) => {
  const { group, all, fail } = setUp(t, 3)
  fail(all[0]!, 4)
  t.is(group.usable.length, 3)
  fail(all[0]!, 1)
  t.deepEqual(group.usable, [all[1]!, all[2]!])
})

test('a reply in between starts the count again', (t) => {
  const { outliers, group, all, fail } = setUp(t, 3)
  fail(all[0]!, 4)
  outliers.succeeded(group, all[0]!)
  fail(all[0]!, 4)
  t.is(group.usable.length, 3)
})

test('an ejected instance is not ejected again by what was still in flight on it', (t) => {
  const { all, fail, messages } = setUp(t, 3)
  fail(all[0]!, 12)
  t.is(messages.length, 1)
})

test('each ejection in a row is longer by 30 s, up to 300 s', (t) => {
  const { all, fail, messages } = setUp(t, 3)
  for (let i = 0; i < 12; i += 1) {
    fail(all[0]!, 5)
    all[0]!.ejectedUntil = 0
  }
  const seconds = messages.map((message) => Number(/for (\d+) s/.exec(message)?.[1]))
  t.deepEqual(seconds, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300])
})

test('a reply after its return makes the next ejection a first one', (t) => {
  const { outliers, group, all, fail, messages } = setUp(t, 3)
  fail(all[0]!, 5)
  all[0]!.ejectedUntil = 0
  outliers.succeeded(group, all[0]!)
  fail(all[0]!, 5)
  t.is(messages.length, 2)
  t.regex(messages[1]!, /for 30 s/)
})

test('half of a service may be ejected, more than half never', (t) => {
  const { group, all, fail } = setUp(t, 4)
  fail(all[0]!, 5)
  fail(all[1]!, 5)
  t.is(group.usable.length, 2)
  fail(all[2]!, 5)
  t.deepEqual(group.usable, all)
})

test('an ejection outlives a change of the address book', (t) => {
  const { outliers, all, fail } = setUp(t, 3)
  fail(all[0]!, 5)
  t.deepEqual(outliers.group('house', all).usable, [all[1]!, all[2]!])
})

test('an instance comes back when its time is over', async (t) => {
  const { group, all, fail } = setUp(t, 3)
  all[0]!.ejections = -1
  fail(all[0]!, 5)
  t.is(all[0]!.ejections, 0, 'an ejection of 0 s, for the test')
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.deepEqual(group.usable, all)
})
