import { once } from 'node:events'
import { setImmediate as immediate } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { z } from 'zod'
import type { DiscoverySource, Publish } from '../../src/discovery/source.ts'
import { createWatcher, type WatcherOptions } from '../../src/discovery/watcher.ts'
import { calmTest as test } from '../support/calm.ts'
import { handSource, recordedLog, service } from '../support/hand-source.ts'
import { until } from '../support/until.ts'

const a = 'http://127.0.0.1:1'
const b = 'http://127.0.0.1:2'

function watch(t: ExecutionContext, options: Partial<WatcherOptions> = {}) {
  const source = handSource()
  const log = recordedLog()
  let changes = 0
  const watcher = createWatcher({
    configured: source.configured,
    log,
    onChange: () => (changes += 1),
    random: () => 0,
    backoff: { firstMs: 2, mostMs: 8 },
    ...options,
  })
  t.teardown(() => watcher.stop())
  return { source, log, watcher, changes: () => changes }
}

test('a snapshot that says the same again is no change, in whatever order it says it', (t) => {
  const { source, watcher, changes } = watch(t)
  watcher.start()
  source.publish([service('x', [a, b]), service('y', [a])])
  source.publish([service('x', [a, b]), service('y', [a])])
  source.publish([service('y', [a]), service('x', [b, a])])
  t.is(changes(), 1)
  source.publish([service('x', [a]), service('y', [a])])
  source.publish([service('x', [a], { auth: 'required' }), service('y', [a])])
  source.publish([])
  source.publish([])
  t.is(changes(), 4)
})

test('an empty first snapshot is a change: now it is known that there is nothing', (t) => {
  const { source, watcher, changes } = watch(t)
  watcher.start()
  t.is(watcher.snapshot(), undefined)
  source.publish([])
  t.deepEqual(watcher.snapshot(), [])
  t.is(changes(), 1)
})

test('a snapshot is not changed by what the source does to its array afterwards', (t) => {
  const { source, watcher } = watch(t)
  watcher.start()
  const services = [service('x', [a])]
  source.publish(services)
  services.pop()
  t.is(watcher.snapshot()?.length, 1)
})

test('the source is starting until it speaks, then live, and failing once it breaks', async (t) => {
  const { source, watcher } = watch(t)
  t.is(watcher.status().state, 'starting')
  watcher.start()
  t.is(watcher.status().lastHeardAt, undefined)
  source.publish([])
  t.is(watcher.status().state, 'live')
  t.true(watcher.status().lastHeardAt! <= Date.now())
  const again = source.started()
  source.end(new Error('broken pipe'))
  await again
  t.like(watcher.status(), { state: 'failing', lastError: 'broken pipe' })
  source.publish([])
  t.like(watcher.status(), { state: 'live', lastError: undefined })
})

test('a source that fails before it ever spoke is still starting', async (t) => {
  const { source, watcher } = watch(t)
  watcher.start()
  const again = source.started()
  source.end(new Error('refused'))
  await again
  t.like(watcher.status(), { state: 'starting', lastError: 'refused' })
})

test('the last snapshot outlives every fault, and is handed to the next watch', async (t) => {
  const { source, watcher } = watch(t)
  watcher.start()
  source.publish([service('x', [a])])
  for (const error of [new Error('one'), undefined, 'a string', null]) {
    const again = source.started()
    source.end(error ?? undefined)
    const context = await again
    t.is(context.lastKnown?.length, 1)
    t.is(watcher.snapshot()?.length, 1)
  }
})

test('a source that ends without being asked to is started again and called failing', async (t) => {
  const { source, watcher, log } = watch(t)
  watcher.start()
  source.publish([])
  const again = source.started()
  source.end()
  await again
  t.is(watcher.status().state, 'failing')
  t.true(
    log.lines.some(({ level, message }) => level === 'warn' && message.includes('ended without being asked')),
  )
})

test('a source that throws before it returns a promise is a failing source, not a crash', async (t) => {
  let calls = 0
  const source: DiscoverySource = {
    name: 'hasty',
    settings: z.any(),
    watch() {
      calls += 1
      throw new Error('not even a promise')
    },
  }
  const { watcher } = watch(t, { configured: { source, options: undefined } })
  watcher.start()
  await until(() => calls > 2, 'the source is tried again')
  t.is(watcher.status().lastError, 'not even a promise')
})

test('the same fault is logged once, a new one again, and the recovery too', async (t) => {
  const { source, watcher, log } = watch(t)
  watcher.start()
  source.publish([])
  for (const message of ['refused', 'refused', 'refused', 'denied']) {
    const again = source.started()
    source.end(new Error(message))
    await again
  }
  source.publish([])
  t.deepEqual(
    log.lines.map(({ level, message }) => `${level}: ${message}`),
    [
      'warn: discovery: hand fails (serving the last known): refused',
      'warn: discovery: hand fails (serving the last known): denied',
      'info: discovery: hand answers again',
    ],
  )
})

/** The pauses of a source that breaks at once, by a clock that only the test moves. */
async function pauses(t: ExecutionContext, random: () => number, count: number): Promise<number[]> {
  const startedAt: number[] = []
  const source: DiscoverySource = {
    name: 'broken',
    settings: z.any(),
    async watch() {
      startedAt.push(performance.now())
      throw new Error('broken')
    },
  }
  const { watcher } = watch(t, {
    configured: { source, options: undefined },
    random,
    backoff: { firstMs: 40, mostMs: 160 },
  })
  watcher.start()
  await until(() => startedAt.length > count, 'enough attempts')
  await watcher.stop()
  return startedAt.slice(1).map((at, i) => at - startedAt[i]!)
}

test('the pauses double up to a ceiling, and are never shorter than half of it', async (t) => {
  const least = await pauses(t, () => 0, 5)
  // Half of 40, 80, 160, 160, 160; a timer may be a millisecond early, and late on a busy machine.
  for (const [i, ms] of [20, 40, 80, 80, 80].entries())
    t.true(least[i]! >= ms - 2, `pause ${i}: ${least[i]} ms`)
  const most = await pauses(t, () => 0.999, 3)
  for (const [i, ms] of [40, 80, 160].entries()) t.true(most[i]! >= ms - 3, `pause ${i}: ${most[i]} ms`)
})

test('a source that publishes and breaks at once is backed off from all the same', async (t) => {
  let calls = 0
  const source: DiscoverySource = {
    name: 'flapping',
    settings: z.any(),
    async watch(_options, publish) {
      calls += 1
      publish([])
      throw new Error('broken')
    },
  }
  const { watcher } = watch(t, {
    configured: { source, options: undefined },
    backoff: { firstMs: 50, mostMs: 10_000 },
  })
  watcher.start()
  await new Promise((resolve) => setTimeout(resolve, 400))
  // 25 + 50 + 100 + 200 ms: four or five watches, where a loop without back-off would be thousands.
  t.true(calls <= 5, `${calls} watches`)
})

test('stopping ends the watch, and what it says afterwards is not heard', async (t) => {
  const { source, watcher, changes } = watch(t)
  watcher.start()
  source.publish([service('x', [a])])
  await watcher.stop()
  t.true(source.watches[0]?.signal.aborted)
  source.publish([])
  t.is(watcher.snapshot()?.length, 1)
  t.is(changes(), 1)
  await immediate()
  t.is(source.watches.length, 1)
})

test('stopping ends a pause between two attempts at once', async (t) => {
  const { source, watcher } = watch(t, { backoff: { firstMs: 600_000, mostMs: 600_000 } })
  watcher.start()
  source.end(new Error('broken'))
  await immediate()
  const startedAt = performance.now()
  await watcher.stop()
  t.true(performance.now() - startedAt < 60_000)
})

test('a source that fails because it is stopped is not a failing source', async (t) => {
  const source: DiscoverySource = {
    name: 'strict',
    settings: z.any(),
    async watch(_options, publish, { signal }) {
      publish([])
      await once(signal, 'abort')
      signal.throwIfAborted()
    },
  }
  const { watcher, log } = watch(t, { configured: { source, options: undefined } })
  watcher.start()
  await watcher.stop()
  t.is(watcher.status().state, 'live')
  t.deepEqual(log.lines, [])
})

test('a source that does not heed the signal cannot hold up the shutdown', async (t) => {
  let tell: Publish | undefined
  const source: DiscoverySource = {
    name: 'deaf',
    settings: z.any(),
    watch(_options, publish) {
      tell = publish
      publish([])
      return new Promise(() => {})
    },
  }
  const { watcher, log } = watch(t, { configured: { source, options: undefined }, stopTimeoutMs: 20 })
  watcher.start()
  await watcher.stop()
  tell?.([service('x', [a])])
  t.deepEqual(watcher.snapshot(), [])
  t.true(log.lines.some(({ message }) => message.includes('deaf did not end')))
})

test('starting twice watches once', (t) => {
  const { source, watcher } = watch(t)
  watcher.start()
  watcher.start()
  t.is(source.watches.length, 1)
})

test('a watcher that was never started can be stopped', async (t) => {
  const { watcher } = watch(t)
  await t.notThrowsAsync(watcher.stop())
})
