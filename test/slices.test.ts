import { setImmediate as nextTurn } from 'node:timers/promises'
import test from 'ava'
import { atOnce, createBreather, inSlices, type Steps } from '../src/slices.ts'

/** Steps that take so many milliseconds each, by a clock that only they move. */
function work(durations: readonly number[]) {
  let time = 0
  const happened: string[] = []
  function* steps(): Steps<string> {
    for (const ms of durations) {
      time += ms
      happened.push(`${ms} ms`)
      yield
    }
    return 'done'
  }
  const breathe = createBreather(
    () => time,
    async () => void happened.push('turn'),
  )
  return { steps: steps(), breathe, happened }
}

test('work is done at once where it is asked for like that', (t) => {
  const { steps, happened } = work([9, 9])
  t.is(atOnce(steps), 'done')
  t.deepEqual(happened, ['9 ms', '9 ms'])
})

test('the event loop has its turn each time that it has been held for 5 ms, and no sooner', async (t) => {
  const { steps, breathe, happened } = work([2, 2, 2, 1, 9, 1])
  t.is(await inSlices(steps, breathe), 'done')
  t.deepEqual(happened, ['2 ms', '2 ms', '2 ms', 'turn', '1 ms', '9 ms', 'turn', '1 ms'])
})

test('what fails in a later slice rejects', async (t) => {
  function* steps(): Steps<never> {
    yield
    throw new Error('broken')
  }
  const breathe = createBreather(() => 0, nextTurn)
  await t.throwsAsync(inSlices(steps(), breathe), { message: 'broken' })
})

test('a turn is one in which others are served', async (t) => {
  let time = 0
  const breathe = createBreather(() => (time += 100))
  let served = false
  setImmediate(() => (served = true))
  await breathe()
  t.true(served)
})
