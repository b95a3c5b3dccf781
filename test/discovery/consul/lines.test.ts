import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import { createLines, type LinesOptions, type Turn } from '../../../src/discovery/consul/lines.ts'

interface Asked {
  readonly name: string
  readonly turn: Turn
  readonly answer: () => void
  readonly fail: () => void
}

/** Lines, and everything that is asked on them; each question waits until the test answers it. */
function arrange(options: Partial<LinesOptions> = {}) {
  let followers = 0
  const lines = createLines({
    ...{ count: 2, followers: () => followers, waitMs: { long: 55_000, short: 1000 } },
    ...{ firstAtOnce: 16, restMs: 10, ...options },
  })
  const asked: Asked[] = []
  return {
    asked,
    names: () => asked.map(({ name }) => name).join(' '),
    followedBy(count: number) {
      followers = count
    },
    ask(name: string, { isFirst = false, signal = new AbortController().signal } = {}) {
      return lines.inTurn(isFirst, signal, (turn) => {
        const { promise, resolve, reject } = Promise.withResolvers<string>()
        turn.signal.addEventListener('abort', () => reject(turn.signal.reason))
        asked.push({ name, turn, answer: () => resolve(name), fail: () => reject(new Error('reset')) })
        return promise
      })
    },
  }
}

test('who comes first is served first', async (t) => {
  const { ask, asked, names, followedBy } = arrange()
  followedBy(5)
  for (const name of ['a', 'b', 'c', 'd', 'e']) void ask(name)
  await turn()
  t.is(names(), 'a b')
  asked[1]?.answer()
  await turn()
  asked[0]?.answer()
  await turn()
  t.is(names(), 'a b c d')
  asked[2]?.answer()
  await turn()
  t.is(names(), 'a b c d e')
})

test('while everybody has a line the wait is long, and short where there are more', async (t) => {
  const { ask, asked, followedBy } = arrange()
  followedBy(2)
  void ask('a')
  await turn()
  followedBy(3)
  void ask('b')
  await turn()
  t.deepEqual(
    asked.map(({ turn }) => turn.waitMs),
    [55_000, 1000],
  )
})

test('a query that may wait long yields to one that has no line, asks again in its turn, and answers', async (t) => {
  const { ask, asked, names, followedBy } = arrange({ restMs: 0 })
  followedBy(2)
  const first = ask('a')
  void ask('b')
  await turn()
  followedBy(3)
  void ask('c')
  // The one that was cut does the same to the next.
  while (asked.length < 4) await turn()
  t.is(names(), 'a b c a')
  t.true(asked[0]?.turn.signal.aborted)
  t.true(asked[1]?.turn.signal.aborted)
  t.is(asked[3]?.turn.waitMs, 1000)
  asked[3]?.answer()
  t.is(await first, 'a')
})

test('a query that waits short is not cut', async (t) => {
  const { ask, asked, followedBy } = arrange()
  followedBy(3)
  for (const name of ['a', 'b', 'c']) void ask(name)
  await turn()
  t.deepEqual(
    asked.map(({ turn }) => turn.signal.aborted),
    [false, false],
  )
})

test('first questions go before the others, on half of the lines at most', async (t) => {
  const { ask, asked, names, followedBy } = arrange({ count: 4 })
  followedBy(10)
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) void ask(name)
  for (const name of ['new1', 'new2', 'new3']) void ask(name, { isFirst: true })
  await turn()
  for (let answered = 0; answered < 3; answered++) {
    asked[answered]?.answer()
    await turn()
  }
  t.is(names(), 'a b c d new1 new2 e')
  asked[4]?.answer()
  await turn()
  t.is(names(), 'a b c d new1 new2 e new3')
})

test('a line whose connection was broken off rests before it is given away', async (t) => {
  const restMs = 50
  const { ask, asked, names, followedBy } = arrange({ count: 1, restMs })
  followedBy(2)
  const failing = ask('a')
  void ask('b')
  await turn()
  const failedAt = performance.now()
  asked[0]?.fail()
  await t.throwsAsync(failing, { message: 'reset' })
  t.is(names(), 'a')
  while (asked.length < 2) await turn()
  // A timer may fire a millisecond early.
  t.true(performance.now() - failedAt >= restMs - 2)
})

test('who leaves while it asks gives its line back, and who leaves the queue is not served', async (t) => {
  const { ask, asked, names, followedBy } = arrange({ count: 1, restMs: 0 })
  followedBy(3)
  const [asking, waiting] = [new AbortController(), new AbortController()]
  const a = ask('a', { signal: asking.signal })
  const b = ask('b', { signal: waiting.signal })
  void ask('c')
  await turn()
  waiting.abort()
  await t.throwsAsync(b, { name: 'AbortError' })
  asking.abort()
  await t.throwsAsync(a, { name: 'AbortError' })
  while (asked.length < 2) await turn()
  t.is(names(), 'a c')
})
