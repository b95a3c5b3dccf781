import test from 'ava'
import { addUpTraffic, pointsOf, rateOf, totalTraffic } from '../../src/dashboard/add-up-traffic.ts'
import { createTrafficHistory, slotCount, slotMs } from '../../src/dashboard/traffic.ts'
import { createRequestCounts } from '../../src/observability/request-counts.ts'
import { handClock } from '../support/hand-clock.ts'

function history() {
  const clock = handClock()
  const counts = createRequestCounts(clock.now)
  counts.retain([
    { prefix: '/api/a', service: 'a' },
    { prefix: '/api/b', service: 'b' },
  ])
  const kept = createTrafficHistory({ counts, clock })
  const ask = (service: string, status = 200, seconds = 0.02) =>
    counts.count(`/api/${service}`, service, 'GET', status, seconds)
  return { clock, counts, kept, ask }
}

test('what was counted before it began is in no slot', (t) => {
  const { clock, kept, ask } = history()
  ask('a')
  kept.start()
  clock.pass(slotMs)
  t.deepEqual(kept.read(slotCount).services, {})
})

test('requests are in the slot in which they ended', (t) => {
  const { clock, kept, ask } = history()
  kept.start()
  ask('a')
  clock.pass(slotMs)
  ask('a', 503)
  ask('a', 200)
  ask('b', 404)
  clock.pass(slotMs)
  clock.pass(slotMs)
  const { newest, services } = kept.read(slotCount)
  t.deepEqual(
    services.a?.map((row) => row.slice(0, 3)),
    [
      [newest - 2, 1, 0],
      [newest - 1, 2, 1],
    ],
  )
  t.deepEqual(
    services.b?.map((row) => row.slice(0, 3)),
    [[newest - 1, 1, 0]],
  )
})

test('no more than the last slots are kept, and no more are told than are asked for', (t) => {
  const { clock, kept, ask } = history()
  kept.start()
  for (let slot = 0; slot < slotCount + 20; slot += 1) {
    ask('a')
    clock.pass(slotMs)
  }
  t.is(kept.read(slotCount).services.a?.length, slotCount)
  t.is(kept.read(10_000).services.a?.length, slotCount)
  t.is(kept.read(3).services.a?.length, 3)
})

test('a slot is used again after a pause without the requests it had', (t) => {
  const { clock, kept, ask } = history()
  kept.start()
  ask('a')
  clock.pass(slotMs)
  clock.pass((slotCount - 1) * slotMs)
  ask('a')
  clock.pass(slotMs)
  t.deepEqual(
    kept.read(slotCount).services.a?.map(([, requests]) => requests),
    [1],
  )
})

test('a service that the counts have forgotten is forgotten', (t) => {
  const { clock, counts, kept, ask } = history()
  kept.start()
  ask('a')
  clock.pass(slotMs)
  counts.retain([])
  t.is(kept.read(slotCount).services.a?.length, 1)
  clock.pass(6 * 60_000)
  t.deepEqual(kept.read(slotCount).services, {})
})

test('once stopped it looks no more', (t) => {
  const { clock, kept } = history()
  kept.start()
  kept.stop()
  t.is(clock.pending, 0)
})

/** A row of requests that took 20 ms each, and one that failed. */
const row = (slot: number, requests: number) => {
  const buckets = new Array<number>(15).fill(0)
  buckets[2] = requests
  return [slot, requests, 1, requests * 20, requests, ...buckets]
}

test('slots of several processes are added up, up to the last that all have finished', (t) => {
  const traffic = addUpTraffic([
    { newest: 11, services: { a: [row(10, 4), row(11, 2)] } },
    { newest: 10, services: { a: [row(9, 1), row(10, 6)], b: [row(10, 5)] } },
  ])
  t.is(traffic.newest, 10)
  const points = pointsOf(traffic.services.a!, traffic.newest)
  t.deepEqual(
    points.map(([slot, requests, errors, meanMs]) => [slot, requests, errors, meanMs]),
    [
      [9, 1, 1, 20],
      [10, 10, 2, 20],
    ],
  )
  t.deepEqual(
    totalTraffic(traffic).map(([slot, requests]) => [slot, requests]),
    [
      [9, 1],
      [10, 15],
    ],
  )
})

test('a rate is that of the last slots, and of a pause nothing', (t) => {
  const rows = [row(7, 100), row(8, 10), row(10, 20)]
  const { perSecond, errorShare, meanMs, p95Ms } = rateOf(rows, 10)
  t.is(perSecond, 5)
  t.is(errorShare, 0.0667)
  t.is(meanMs, 20)
  t.true(p95Ms! > 10 && p95Ms! <= 25, `${p95Ms}`)
  t.deepEqual(rateOf(rows, 20), { perSecond: 0, errorShare: 0 })
  t.deepEqual(rateOf(undefined, 20), { perSecond: 0, errorShare: 0 })
})

test('open WebSockets count as requests and take no time', (t) => {
  const { clock, kept, ask } = history()
  kept.start()
  ask('a', 101, 3600)
  clock.pass(slotMs)
  const { newest, services } = kept.read(1)
  t.deepEqual(pointsOf(services.a!, newest), [[newest, 1, 0, null, null]])
})

test('a percentile of the first bucket is its bound, and of the last one too', (t) => {
  const { clock, kept, ask } = history()
  kept.start()
  for (let i = 0; i < 100; i += 1) {
    ask('a', 200, 0.0001)
    ask('b', 200, 60)
  }
  clock.pass(slotMs)
  const { newest, services } = kept.read(1)
  t.is(rateOf(services.a, newest).p95Ms, 5)
  t.is(rateOf(services.b, newest).p95Ms, 10_000)
})
