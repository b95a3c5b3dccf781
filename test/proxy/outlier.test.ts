import test, { type ExecutionContext } from 'ava'
import type { Description } from '../../src/discovery/description.ts'
import { healthSettings } from '../../src/discovery/health-settings.ts'
import { createOutlierDetection } from '../../src/proxy/outlier.ts'
import { createUpstreams, type Upstream } from '../../src/proxy/upstreams.ts'
import { handClock } from '../support/hand-clock.ts'
import { recordedLog } from '../support/hand-source.ts'
import { seeded } from '../support/seeded.ts'

function setUp(t: ExecutionContext, count: number, description: Description = {}) {
  const log = recordedLog()
  const clock = handClock()
  const outliers = createOutlierDetection({ log, clock })
  const upstreams = createUpstreams({ connectTimeoutMs: 1000, idleTimeoutMs: 1000 })
  t.teardown(() => {
    outliers.stop()
    return upstreams.destroy()
  })
  const house = (number: number, weight = 1) =>
    upstreams.of('house', { id: `${number}`, origin: `http://127.0.0.1:${8000 + number}`, weight })
  const all = Array.from({ length: count }, (_, number) => house(number))
  const join = (members: readonly Upstream[], said = description) =>
    outliers.group('house', members, healthSettings(said))
  const group = join(all)
  const fail = (upstream: Upstream, times = 5) => {
    for (let i = 0; i < times; i += 1) outliers.failed(group, upstream)
  }
  const ejections = () =>
    log.lines.flatMap(({ message }) => {
      const [, seconds] = /ejected for ([\d.]+) s/.exec(message) ?? []
      return seconds === undefined ? [] : [Number(seconds)]
    })
  return { outliers, upstreams, clock, log, house, all, join, group, fail, ejections }
}

test('four failures in a row do not eject an instance, the fifth does', (t) => {
  const { group, all, fail } = setUp(t, 3)
  fail(all[0]!, 4)
  t.is(group.usable.length, 3)
  fail(all[0]!, 1)
  t.deepEqual(group.usable, [all[1]!, all[2]!])
})

test('a service may say how many failures it takes, and for how long the first time', (t) => {
  const { group, all, fail, clock, ejections } = setUp(t, 3, { 'eject-after': 2, 'eject-time': 4000 })
  fail(all[0]!, 1)
  t.is(group.usable.length, 3)
  fail(all[0]!, 1)
  t.is(group.usable.length, 2)
  t.deepEqual(ejections(), [4])
  clock.pass(3999)
  t.is(group.usable.length, 2)
  clock.pass(2)
  t.is(group.usable.length, 3)
})

for (const description of [{ 'eject-after': 0 }, { 'eject-share': 0 }] as const) {
  test(`with ${JSON.stringify(description)} nobody is ejected`, (t) => {
    const { group, all, fail } = setUp(t, 3, description)
    for (const upstream of all) fail(upstream, 50)
    t.is(group.usable, all)
  })
}

test('a reply in between starts the count again', (t) => {
  const { outliers, group, all, fail } = setUp(t, 3)
  fail(all[0]!, 4)
  outliers.succeeded(group, all[0]!)
  fail(all[0]!, 4)
  t.is(group.usable.length, 3)
})

test('an ejected instance is not ejected again by what was still in flight on it', (t) => {
  const { all, fail, ejections } = setUp(t, 3)
  fail(all[0]!, 12)
  t.deepEqual(ejections(), [30])
})

test('each ejection is longer by 30 s than the one before, up to 300 s', (t) => {
  const { all, fail, clock, ejections } = setUp(t, 3)
  for (let i = 0; i < 12; i += 1) {
    fail(all[0]!)
    clock.pass(ejections().at(-1)! * 1000 + 1)
  }
  t.deepEqual(ejections(), [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300])
})

test('a time of more than 300 s is kept to', (t) => {
  const { all, fail, clock, ejections } = setUp(t, 3, { 'eject-time': 600_000 })
  for (let i = 0; i < 2; i += 1) {
    fail(all[0]!)
    clock.pass(600_001)
  }
  t.deepEqual(ejections(), [600, 600])
})

test('each 30 s that an instance stays in take one off the count; one reply does not', (t) => {
  const { outliers, group, all, fail, clock, ejections } = setUp(t, 3)
  const [flapping] = all as [Upstream]
  for (let i = 0; i < 4; i += 1) {
    fail(flapping)
    clock.pass(ejections().at(-1)! * 1000)
    outliers.succeeded(group, flapping)
  }
  t.deepEqual(ejections(), [30, 60, 90, 120])
  clock.pass(65_000)
  fail(flapping)
  t.deepEqual(ejections().slice(4), [90], 'two are forgiven')
  clock.pass(90_000 + 3_600_000)
  outliers.succeeded(group, flapping)
  fail(flapping)
  t.deepEqual(ejections().slice(5), [30], 'all are')
})

test('an instance that fails at its return, before any reply, is ejected again at once', (t) => {
  const { all, fail, clock, ejections } = setUp(t, 3)
  fail(all[0]!)
  clock.pass(30_001)
  fail(all[0]!, 1)
  t.deepEqual(ejections(), [30, 60])
})

test('of few instances one may be ejected, and no second', (t) => {
  const { group, all, fail, ejections } = setUp(t, 3)
  for (const upstream of all) fail(upstream, 20)
  t.is(group.usable.length, 2)
  t.deepEqual(ejections(), [30])
})

test('the only instance is never ejected', (t) => {
  const { group, all, fail } = setUp(t, 1, { 'eject-share': 100 })
  fail(all[0]!, 50)
  t.deepEqual(group.usable, all)
})

test('what could not be ejected is, once another has come back', (t) => {
  const { group, all, fail, clock } = setUp(t, 3)
  fail(all[0]!)
  fail(all[1]!, 10)
  t.deepEqual(group.usable, [all[1]!, all[2]!])
  clock.pass(30_001)
  t.deepEqual(group.usable, all)
  fail(all[1]!, 1)
  t.deepEqual(group.usable, [all[0]!, all[2]!])
})

test('whatever happens, the share of ejected instances is never exceeded and somebody is always usable', (t) => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = seeded(seed)
    const below = (count: number) => Math.floor(random() * count)
    const said = { 'eject-share': below(101), panic: below(2) * 50, 'slow-start': below(2) * 10_000 }
    const { outliers, clock, house, join } = setUp(t, 0, said)
    const pool = Array.from({ length: 30 }, (_, number) => house(number))
    let members = pool.slice(0, 1 + below(30))
    let group = join(members, said)
    for (let step = 0; step < 300; step += 1) {
      const dice = random()
      const upstream = members[below(members.length)]!
      if (dice < 0.8) for (let i = 0; i < 5; i += 1) outliers.failed(group, upstream)
      else if (dice < 0.9) outliers.succeeded(group, upstream)
      else if (dice < 0.97) clock.pass(below(40_000))
      else {
        members = pool.filter(() => random() < 0.5)
        if (members.length === 0) members = [pool[0]!]
        group = join(members, said)
      }
      const out = members.length - group.usable.length
      const share = Math.floor((members.length * said['eject-share']) / 100)
      const most = members.length < 2 || said['eject-share'] === 0 ? 0 : Math.max(1, share)
      const place = `seed ${seed}, step ${step}: ${out} of ${members.length} out`
      if (out > most || group.usable.length === 0) t.fail(place)
      if (out > 0 && group.usable.length * 100 < members.length * said.panic) t.fail(`${place}, in panic`)
      if (!group.usable.some(({ weight }) => weight === 1)) t.fail(`${place}, nobody with the full weight`)
      if (group.usable.some(({ weight }) => !(weight > 0 && weight <= 1))) t.fail(`${place}, a bad weight`)
    }
  }
  t.pass()
})

test('where less than half would be left all take part, and it is logged once', (t) => {
  const { group, all, fail, log, clock } = setUp(t, 4, { 'eject-share': 100 })
  fail(all[0]!)
  fail(all[1]!)
  t.deepEqual(group.usable, [all[2]!, all[3]!])
  fail(all[2]!)
  t.deepEqual(group.usable, all)
  fail(all[3]!)
  t.deepEqual(group.usable, all)
  t.is(log.lines.filter(({ message }) => message.includes('all take part')).length, 1)
  clock.pass(60_000)
  t.deepEqual(group.usable, all)
})

test('a service may set another threshold, or none', (t) => {
  const strict = setUp(t, 4, { 'eject-share': 100, panic: 80 })
  strict.fail(strict.all[0]!)
  t.deepEqual(strict.group.usable, strict.all)
  const none = setUp(t, 4, { 'eject-share': 75, panic: 0 })
  for (const upstream of none.all) none.fail(upstream)
  t.deepEqual(none.group.usable, [none.all[3]!])
})

test('without a threshold, and with a share of all, somebody is left nonetheless', (t) => {
  const { group, all, fail } = setUp(t, 3, { 'eject-share': 100, panic: 0 })
  for (const upstream of all) fail(upstream)
  t.true(group.usable.length > 0)
})

test('an ejection outlives a change of the address book, and ends under the new table', (t) => {
  const { all, fail, join, clock } = setUp(t, 3)
  fail(all[0]!)
  const next = join(all)
  t.deepEqual(next.usable, [all[1]!, all[2]!])
  clock.pass(30_001)
  t.deepEqual(next.usable, all)
})

test('a failure under a table of yesterday ejects under that of today', (t) => {
  const { all, fail, join } = setUp(t, 3)
  const next = join(all)
  fail(all[0]!)
  t.deepEqual(next.usable, [all[1]!, all[2]!])
})

test('what fails on an instance that has left, or in a service that has, ejects nobody', (t) => {
  const { outliers, all, fail, join, ejections, clock } = setUp(t, 3)
  join(all.slice(1))
  fail(all[0]!)
  outliers.retain(new Set<string>())
  fail(all[1]!)
  t.deepEqual(ejections(), [])
  t.is(clock.pending, 0)
})

test('when instances leave, those that are ejected beyond the share come back, the soonest due first', (t) => {
  const { all, fail, join, clock } = setUp(t, 20)
  fail(all[0]!)
  clock.pass(10)
  fail(all[1]!)
  const next = join(all.slice(0, 10))
  t.deepEqual(next.usable, [all[0]!, ...all.slice(2, 10)])
})

test('nothing is left to be done once it is stopped', (t) => {
  const { outliers, all, fail, clock } = setUp(t, 3)
  fail(all[0]!)
  t.is(clock.pending, 1)
  outliers.stop()
  t.is(clock.pending, 0)
})
