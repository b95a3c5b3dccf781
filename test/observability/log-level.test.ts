import test from 'ava'
import { createLog } from '../../src/observability/log.ts'
import { createLevelSwitch, type LevelChange } from '../../src/observability/log-level.ts'

/** The switches of two processes. */
function two() {
  return [0, 1].map(() =>
    createLevelSwitch({ log: createLog({ level: 'info', format: 'people', write: () => {} }) }),
  ) as [ReturnType<typeof createLevelSwitch>, ReturnType<typeof createLevelSwitch>]
}

const change = (level: LevelChange['level'], askedAtMs: number, untilMs?: number): LevelChange => ({
  ...{ level, askedAtMs, untilMs },
})

test('two changes that reach two processes in another order leave both at the later one', (t) => {
  const [one, other] = two()
  const [first, second] = [change('debug', 1000), change('warn', 1001)]
  for (const asked of [first, second]) one.ask(asked)
  for (const asked of [second, first]) other.ask(asked)
  t.is(one.ask(undefined).level, 'warn')
  t.is(other.ask(undefined).level, 'warn')
})

test('a change that is asked for after the clock was set back holds', (t) => {
  const [one] = two()
  one.ask(change('debug', 3_600_000))
  t.is(one.ask(change('warn', 1000)).level, 'warn')
})

test('a change that comes when its time is over ends the one before it', (t) => {
  const [one] = two()
  one.ask(change('debug', Date.now(), Date.now() + 3_600_000))
  t.deepEqual(one.ask(change('warn', Date.now(), Date.now() - 1)), {
    ...{ level: 'info', configured: 'info', until: undefined },
  })
  t.is(one.inForce(), undefined)
  one.stop()
})
