import test, { type ExecutionContext } from 'ava'

type Run = (t: ExecutionContext) => void | Promise<void>

const mostAttempts = 8
/** What hangs is not begun again and again. */
const mostMs = 240_000
/** Later than a thread is that has nothing to wait for but its turn. */
const lateMs = 50

/**
 * A test of what cannot be had without a fraction of a second: a deadline that one request keeps and another does not.
 * On a machine that stands still for a moment nobody keeps it. So where the test fails, and its thread was late
 * meanwhile, it has said nothing and is made again; where nobody was late, or it fails every time, it has failed.
 */
export function inCalm(run: Run): (t: ExecutionContext) => Promise<void> {
  return async (t) => {
    const startedAt = performance.now()
    for (let left = mostAttempts - 1; ; left -= 1) {
      const lateness = watchLateness()
      const attempt = await t.try(run)
      const late = lateness.stop()
      const isOver = left === 0 || performance.now() - startedAt > mostMs
      if (attempt.passed || isOver || late < lateMs) return attempt.commit()
      t.log(`failed, and made again: the machine stood still for ${Math.round(late)} ms`)
      attempt.discard()
    }
  }
}

/** AVA's `test` for files that are all about such fractions of a second. */
export const calmTest = Object.assign((title: string, run: Run) => test(title, inCalm(run)), {
  serial: (title: string, run: Run) => test.serial(title, inCalm(run)),
})

/** Notes how late this thread came to do what was due. */
function watchLateness() {
  const everyMs = 10
  let late = 0
  let dueAt = performance.now() + everyMs
  const note = () => {
    late = Math.max(late, performance.now() - dueAt)
    dueAt = performance.now() + everyMs
  }
  const timer = setInterval(note, everyMs)
  return {
    stop() {
      clearInterval(timer)
      note()
      return late
    },
  }
}
