import test from 'ava'
import { createExemption, createOverload, type OverloadOptions } from '../../src/door/overload.ts'
import type { LogFields } from '../../src/observability/log.ts'
import type { Clock } from '../../src/proxy/outlier.ts'

/** An event loop whose turns take as long as they are told to. */
function handLoop(options: Partial<OverloadOptions> = {}) {
  let at = 1000
  let timer = { dueMs: 0, callback: () => {} }
  const clock: Clock = {
    now: () => at,
    after(ms, callback) {
      timer = { dueMs: at + ms, callback }
      return () => {
        timer = { dueMs: Number.POSITIVE_INFINITY, callback: () => {} }
      }
    },
  }
  const lines: { level: string; fields: LogFields }[] = []
  const keep = (level: string) => (fields: LogFields) => void lines.push({ level, fields })
  const overload = createOverload({
    limitMs: 200,
    isExempt: () => false,
    random: () => 0.5,
    log: { info: keep('info'), warn: keep('warn') },
    clock,
    utilization: () => 1,
    ...options,
  })
  overload.start()
  return {
    overload,
    lines,
    /** Turns of the loop at whose end the timer is so late. */
    turns(count: number, lateMs: number) {
      for (let i = 0; i < count; i++) {
        at = timer.dueMs + lateMs
        timer.callback()
      }
    },
    /** Time passes within a turn. */
    pass(ms: number) {
      at += ms
    },
  }
}

const asked = 1000
/** How many of a thousand requests are turned away, by numbers that are spread evenly. */
function turnedAway(limitMs: number, lateMs: number, turns: number): number {
  let drawn = 0
  const loop = handLoop({ limitMs, random: () => (drawn++ % asked) / asked })
  loop.turns(turns, lateMs)
  for (let i = 0; i < asked; i++) loop.overload.turnsAway('/')
  return loop.overload.shed()
}

test('nobody is turned away while the event loop keeps up', (t) => {
  t.is(turnedAway(200, 0, 100), 0)
  t.is(turnedAway(200, 200, 100), 0)
})

test('the share that is turned away grows with the excess, up to nine of ten', (t) => {
  t.deepEqual(
    [220, 250, 300, 380, 400, 10_000].map((lateMs) => turnedAway(200, lateMs, 5)),
    [100, 250, 500, 900, 900, 900],
  )
})

test('no single pause turns anybody away, however long, nor do two', (t) => {
  const loop = handLoop({ random: () => 0 })
  for (const pauses of [1, 2]) {
    loop.turns(pauses, 60_000)
    t.false(loop.overload.turnsAway('/'))
    loop.turns(5, 0)
    t.false(loop.overload.turnsAway('/'))
  }
})

test('a third late turn in a row is a delay that lasts', (t) => {
  const loop = handLoop()
  loop.turns(2, 400)
  t.false(loop.overload.turnsAway('/'))
  loop.turns(1, 400)
  t.true(loop.overload.turnsAway('/'))
})

test('a turn that does not end is noticed by the requests in it', (t) => {
  const loop = handLoop()
  const seen = [600, 500, 500].map((ms) => {
    loop.pass(ms)
    return loop.overload.turnsAway('/')
  })
  t.deepEqual(seen, [false, false, true])
})

test('a pause within a turn counts once, however many requests have piled up behind it', (t) => {
  const loop = handLoop({ random: () => 0 })
  loop.pass(3000)
  for (let i = 0; i < 400; i++) {
    t.false(loop.overload.turnsAway('/'))
    loop.pass(1)
  }
})

test('once the loop keeps up again, the share that is turned away goes down to nothing', (t) => {
  let drawn = 0
  const loop = handLoop({ random: () => (drawn++ % asked) / asked })
  loop.turns(5, 400)
  const shares: number[] = []
  for (let i = 0; i < 6; i++) {
    loop.turns(10, 0)
    const before = loop.overload.shed()
    for (let j = 0; j < asked; j++) loop.overload.turnsAway('/')
    shares.push(loop.overload.shed() - before)
  }
  t.deepEqual(
    shares,
    shares.toSorted((a, b) => b - a),
  )
  t.true(shares[0]! < 500)
  t.is(shares[4], 0)
})

test('what is exempt is let in, and the others of the same moment are not', (t) => {
  const loop = handLoop({ random: () => 0, isExempt: createExemption('/e/admin') })
  loop.turns(5, 1000)
  t.false(loop.overload.turnsAway('/livez'))
  t.true(loop.overload.turnsAway('/api/house'))
  t.is(loop.overload.shed(), 1)
})

test('probes, metrics and the admin endpoints are exempt, and nothing that only looks like them', (t) => {
  const isExempt = createExemption('/e/admin')
  for (const target of [
    '/livez',
    '/readyz?verbose',
    '/metrics',
    '/e/admin',
    '/e/admin/routes?x=1',
    '/e/admin/a/b',
  ]) {
    t.true(isExempt(target), target)
  }
  for (const target of [
    '/',
    '/livezz',
    '/livez/x',
    '/api/livez',
    '/e/admin/../api/house',
    '/e/admin%2f',
    '/e/administrator',
    '/eXadmin',
  ]) {
    t.false(isExempt(target), target)
  }
})

test('with a limit of 0 nobody is turned away, and the delay is measured all the same', (t) => {
  const loop = handLoop({ limitMs: 0, random: () => 0 })
  loop.turns(5, 5000)
  t.false(loop.overload.turnsAway('/'))
  t.is(loop.overload.delayMs(), 5000)
  t.deepEqual(loop.lines, [])
})

test('one line says that it begins, and one that it is over and how many were turned away', (t) => {
  const loop = handLoop()
  loop.turns(20, 400)
  for (let i = 0; i < 7; i++) loop.overload.turnsAway('/')
  loop.turns(40, 0)
  loop.turns(5, 400)
  loop.overload.turnsAway('/')
  t.deepEqual(loop.lines, [{ level: 'warn', fields: { delayMs: 400, limitMs: 200 } }])
  loop.turns(100, 0)
  t.is(loop.lines.length, 2)
  t.like(loop.lines[1], { level: 'info', fields: { shed: 8 } })
})

test('a loop that is late although it has time turns nobody away: the machine is busy, not the gateway', (t) => {
  const loop = handLoop({ random: () => 0, utilization: () => 0.5 })
  loop.turns(10, 1000)
  t.false(loop.overload.turnsAway('/'))
  t.is(loop.overload.delayMs(), 1000)
})

test('nothing is measured any more once it has stopped', (t) => {
  const loop = handLoop()
  loop.overload.stop()
  loop.turns(1, 0)
  t.is(loop.overload.delayMs(), 0)
})
