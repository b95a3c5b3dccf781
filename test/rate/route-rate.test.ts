import type { RateLimit } from '../../src/discovery/rate-settings.ts'
import { GatewayError } from '../../src/errors.ts'
import { createRateLimits } from '../../src/rate/rate-limits.ts'
import { calmTest as test } from '../support/calm.ts'
import { handClock } from '../support/hand-clock.ts'
import { passOf } from '../support/pass.ts'
import { seeded } from '../support/seeded.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }

/** A route with these limits, and a clock that is moved by hand. */
function limited(rate: readonly RateLimit[], mostKeys = 100) {
  const clock = handClock()
  const rates = createRateLimits({ database: undefined, schema: '', log, mostKeys, now: clock.now })
  let route = rates.of({ prefix: '/api/house', rate })!
  return {
    clock,
    rates,
    change(next: readonly RateLimit[]) {
      const changed = { prefix: '/api/house', rate: next }
      route = rates.of(changed)!
      rates.retain([changed])
    },
    /** The field `RateLimit`, or the error. */
    ask(address = '192.0.2.1', subject?: string): string | GatewayError {
      try {
        return route.enter(address, subject === undefined ? undefined : passOf(subject))
      } catch (error) {
        if (error instanceof GatewayError) return error
        throw error
      }
    },
  }
}

const perMinute = (requests: number, per: RateLimit['per'] = 'address'): RateLimit => ({
  ...{ requests, seconds: 60, per },
})

const isAllowed = (reply: string | GatewayError) => typeof reply === 'string'
const refusal = (reply: string | GatewayError) => {
  if (typeof reply === 'string') throw new Error(`allowed: ${reply}`)
  return reply
}

test('what has left the window is let through again, one for one', (t) => {
  const { clock, ask } = limited([perMinute(2)])
  t.is(ask(), '"address";r=1;t=60')
  clock.pass(20_000)
  t.is(ask(), '"address";r=0;t=40')
  t.is(refusal(ask()).headers['Retry-After'], '40')
  clock.pass(39_999)
  t.is(refusal(ask()).headers['Retry-After'], '1')
  clock.pass(1)
  t.is(ask(), '"address";r=0;t=20')
  t.false(isAllowed(ask()))
})

test('no 99 % of a window sees more than the limit, whenever the requests come', (t) => {
  const { clock, ask } = limited([perMinute(50)])
  const random = seeded(7)
  const allowed: number[] = []
  for (let i = 0; i < 20_000; i++) {
    // Now a flood, now nearly nothing: it also meets the border of what was a window before.
    clock.pass(random() < 0.02 ? random() * 61_000 : random() * 100)
    if (isAllowed(ask())) allowed.push(clock.now())
  }
  t.true(allowed.length > 500)
  for (const [i, time] of allowed.entries()) {
    const next = allowed[i + 50]
    if (next !== undefined) t.true(next - time >= 59_400, `${next - time} ms`)
  }
})

test('whoever keeps to the limit is never refused', (t) => {
  const { clock, ask } = limited([perMinute(30)])
  for (let i = 0; i < 1000; i++) {
    t.true(isAllowed(ask()), `request ${i}`)
    clock.pass(2000)
  }
})

test('of a flood that goes on exactly the limit is let through in each window', (t) => {
  const { clock, ask } = limited([perMinute(100)])
  for (let window = 0; window < 5; window++) {
    let allowed = 0
    for (let i = 0; i < 1000; i++) {
      if (isAllowed(ask())) allowed += 1
      clock.pass(60)
    }
    t.is(allowed, 100, `window ${window}`)
  }
})

test('a request is let through when Retry-After is over, and not a second earlier', (t) => {
  const { clock, ask } = limited([perMinute(20)])
  const random = seeded(3)
  for (let i = 0; i < 500; i++) {
    const reply = ask()
    if (isAllowed(reply)) {
      clock.pass(random() * 2000)
      continue
    }
    const seconds = Number(refusal(reply).headers['Retry-After'])
    t.is(refusal(reply).headers.RateLimit, `"address";r=0;t=${seconds}`)
    clock.pass((seconds - 1) * 1000)
    t.false(isAllowed(ask()))
    clock.pass(1000)
    t.true(isAllowed(ask()))
  }
})

test('users are counted each by itself wherever they are, and whoever is nobody by address', (t) => {
  const { ask } = limited([perMinute(1, 'user')])
  t.true(isAllowed(ask('192.0.2.1', 'ada')))
  t.true(isAllowed(ask('192.0.2.1', 'bob')))
  t.false(isAllowed(ask('192.0.2.2', 'ada')))
  t.true(isAllowed(ask('192.0.2.1')))
  t.false(isAllowed(ask('192.0.2.1')))
  t.true(isAllowed(ask('192.0.2.2')))
})

test('a subject is another user where somebody else issued the token', (t) => {
  const { rates } = limited([])
  const route = rates.of({ prefix: '/', rate: [perMinute(1, 'user')] })!
  route.enter('192.0.2.1', passOf('ada', 'https://one.example'))
  t.notThrows(() => route.enter('192.0.2.1', passOf('ada', 'https://two.example')))
  t.throws(() => route.enter('192.0.2.1', passOf('ada', 'https://two.example')))
})

test('the addresses of one IPv6 network are one caller', (t) => {
  const { ask } = limited([perMinute(1)])
  t.true(isAllowed(ask('2001:db8::1')))
  t.false(isAllowed(ask('2001:db8:0:0:ffff::2')))
  t.true(isAllowed(ask('2001:db8:0:1::1')))
})

test('of several limits each has to allow a request, and what one refuses is counted by none', (t) => {
  const limits = [{ requests: 2, seconds: 1, per: 'address' } as const, perMinute(3), perMinute(9, 'user')]
  const { clock, ask } = limited(limits)
  t.is(ask(), '"address-1s";r=1;t=1, "address-60s";r=2;t=60, "user";r=8;t=60')
  t.true(isAllowed(ask()))
  const refused = refusal(ask())
  t.is(refused.headers['Retry-After'], '1')
  t.is(refused.headers.RateLimit, '"address-1s";r=0;t=1, "address-60s";r=1;t=60, "user";r=7;t=60')
  t.is(refused.headers['RateLimit-Policy'], '"address-1s";q=2;w=1, "address-60s";q=3;w=60, "user";q=9;w=60')
  t.is(refused.message, 'Used up: 2 requests in 1 s for each address.')
  clock.pass(1000)
  t.true(isAllowed(ask()))
  t.is(refusal(ask()).headers['Retry-After'], '59')
})

test('a changed limit holds at once, and what was counted stays counted', (t) => {
  const { clock, ask, change } = limited([perMinute(5)])
  for (let i = 0; i < 5; i++) ask()
  change([perMinute(8)])
  t.is(ask(), '"address";r=2;t=60')
  clock.pass(10_000)
  change([perMinute(3)])
  const refused = refusal(ask())
  t.is(refused.headers.RateLimit, '"address";r=0;t=50')
  clock.pass(50_000)
  t.is(ask(), '"address";r=2;t=60')
})

test('what was counted of a limit that is gone is forgotten', (t) => {
  const { ask, change, rates } = limited([perMinute(1)])
  ask()
  change([perMinute(2, 'user')])
  t.is(rates.status().keys, 0)
  change([perMinute(1)])
  t.true(isAllowed(ask()))
})

test('a flood of addresses does not fill the memory, and frees nobody who has used up his limit', (t) => {
  const { ask, rates } = limited([perMinute(3)], 100)
  const refused = Array.from({ length: 20 }, (_, i) => `192.0.2.${i}`)
  for (const address of refused) for (let i = 0; i < 4; i++) ask(address)
  for (let i = 0; i < 5000; i++) ask(`198.18.${i >> 8}.${i & 255}`)
  t.is(rates.status().keys, 100)
  for (const address of refused) t.false(isAllowed(ask(address)), address)
})

test('addresses that have gone quiet are forgotten as others come', (t) => {
  const { clock, ask, rates } = limited([perMinute(3)], 1000)
  for (let i = 0; i < 500; i++) ask(`198.18.${i >> 8}.${i & 255}`)
  t.is(rates.status().keys, 500)
  clock.pass(60_000)
  for (let i = 0; i < 260; i++) ask(`198.19.${i >> 8}.${i & 255}`)
  t.is(rates.status().keys, 260)
})

test('it is told what each route let through and refused', (t) => {
  const { ask, rates } = limited([perMinute(2)])
  for (let i = 0; i < 5; i++) ask()
  t.deepEqual(rates.status().outcomes.get('/api/house'), { allowed: 2, limited: 3 })
})

test('of a limit by which nothing is counted a refused caller hears no time to wait', (t) => {
  const { ask } = limited([perMinute(1), { requests: 5, seconds: 3600, per: 'user' }])
  t.true(isAllowed(ask('192.0.2.1', 'ada')))
  t.is(refusal(ask('192.0.2.1', 'bob')).headers.RateLimit, '"address";r=0;t=60, "user";r=5;t=1')
})
