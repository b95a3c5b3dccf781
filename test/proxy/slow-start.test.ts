import test, { type ExecutionContext } from 'ava'
import type { Description } from '../../src/discovery/description.ts'
import { healthSettings } from '../../src/discovery/health-settings.ts'
import { p2c } from '../../src/proxy/balance/p2c.ts'
import { createOutlierDetection } from '../../src/proxy/outlier.ts'
import { createUpstreams, type Upstream } from '../../src/proxy/upstreams.ts'
import { handClock } from '../support/hand-clock.ts'
import { recordedLog } from '../support/hand-source.ts'
import { seeded } from '../support/seeded.ts'

function setUp(t: ExecutionContext, description: Description = { 'slow-start': 30_000 }) {
  const clock = handClock()
  const outliers = createOutlierDetection({ log: recordedLog(), clock })
  const upstreams = createUpstreams({ connectTimeoutMs: 1000, idleTimeoutMs: 1000 })
  t.teardown(() => {
    outliers.stop()
    return upstreams.destroy()
  })
  const house = (number: number, weight = 1) =>
    upstreams.of('house', { id: `${number}`, origin: `http://127.0.0.1:${8000 + number}`, weight })
  const join = (all: readonly Upstream[], said = description) =>
    outliers.group('house', all, healthSettings(said))
  return { clock, outliers, upstreams, house, join }
}

const weights = (upstreams: readonly Upstream[]) => upstreams.map(({ weight }) => Number(weight.toFixed(3)))

test('a new instance begins with a tenth of its share and comes to all of it in a straight line', (t) => {
  const { clock, house, join } = setUp(t)
  const old = [house(1), house(2)]
  join(old)
  const all = [...old, house(3)]
  join(all)
  t.deepEqual(weights(all), [1, 1, 0.1])
  for (let second = 1; second <= 30; second += 1) {
    clock.pass(1000)
    // Steps of a twentieth: what it has may be that much behind.
    const due = Math.max(0.1, second / 30)
    const { weight } = all[2]!
    t.true(weight <= due + 1e-9 && weight >= due - 0.06, `${second} s: ${weight}`)
  }
  clock.pass(100)
  t.deepEqual(weights(all), [1, 1, 1])
  t.is(clock.pending, 0, 'nothing is left to be done')
})

test('it gets that share of the requests', (t) => {
  const { clock, house, join } = setUp(t)
  const old = [house(1), house(2), house(3)]
  join(old)
  const group = join([...old, house(4)])
  clock.pass(15_001)
  const pick = p2c.create(seeded(1))
  let newcomers = 0
  for (let i = 0; i < 40_000; i += 1) if (pick(group.usable) === group.all[3]) newcomers += 1
  // Half of a share beside three whole ones.
  t.true(Math.abs(newcomers / 40_000 - 0.5 / 3.5) < 0.015, `${newcomers}`)
})

test('the first instances of a service have all of it at once, also after a time without any', (t) => {
  const { clock, house, join } = setUp(t)
  t.deepEqual(weights(join([house(1), house(2)]).usable), [1, 1])
  join([])
  t.deepEqual(weights(join([house(3), house(4)]).usable), [1, 1])
  clock.pass(1000)
  t.deepEqual(weights(join([house(3), house(4), house(5)]).usable), [1, 1, 0.1], 'these were never slow')
})

test('where every instance is replaced at once the new ones share as equals', (t) => {
  const { house, join } = setUp(t)
  join([house(1), house(2)])
  t.deepEqual(weights(join([house(3), house(4)]).usable), [1, 1])
})

test('unless a service asks for it there is none', (t) => {
  const { clock, house, join } = setUp(t, {})
  join([house(1)])
  t.deepEqual(weights(join([house(1), house(2)]).usable), [1, 1])
  t.is(clock.pending, 0)
})

test('an instance whose ejection ends comes back slowly too', (t) => {
  const { clock, house, join, outliers } = setUp(t)
  const group = join([house(1), house(2), house(3)])
  for (let i = 0; i < 5; i += 1) outliers.failed(group, group.all[0]!)
  clock.pass(30_001)
  t.deepEqual(weights(group.usable), [0.1, 1, 1])
  clock.pass(31_000)
  t.deepEqual(weights(group.usable), [1, 1, 1])
})

test('who is ejected and takes part all the same, for there are too few, has all of its share', (t) => {
  const { house, join, outliers } = setUp(t, { 'slow-start': 30_000, 'eject-share': 100 })
  const group = join([house(1), house(2), house(3)])
  for (const upstream of group.all) for (let i = 0; i < 5; i += 1) outliers.failed(group, upstream)
  t.deepEqual(weights(group.usable), [1, 1, 1])
})

test('a table that changes nothing for it does not begin the slow start again', (t) => {
  const { clock, house, join } = setUp(t)
  join([house(1)])
  join([house(1), house(2)])
  clock.pass(20_000)
  const group = join([house(1), house(2), house(3)])
  t.deepEqual(weights(group.usable), [1, 0.667, 0.1])
})

test('an instance that left and came back is a new one', (t) => {
  const { clock, house, join, upstreams } = setUp(t)
  const [a, b] = [house(1), house(2)]
  join([a, b])
  upstreams.retain(new Map([['house', join([a])]]))
  clock.pass(60_000)
  t.deepEqual(weights(join([a, house(2)]).usable), [1, 0.1])
})

test('weights are taken beside the greatest, and slow starts from there', (t) => {
  const { house, join } = setUp(t)
  const old = [house(1, 10), house(2, 5)]
  t.deepEqual(weights(join(old).usable), [1, 0.5])
  t.deepEqual(weights(join([...old, house(3, 10)]).usable), [1, 0.5, 0.1])
})

test('a weight that changes holds from the next table on, for the same connections', (t) => {
  const { house, join } = setUp(t)
  const all = [house(1), house(2)]
  join(all)
  const next = [house(1, 4), house(2)]
  t.is(next[0], all[0])
  t.deepEqual(weights(join(next).usable), [1, 0.25])
})
