import { appendFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { inCalm } from '../support/calm.ts'
import { type RowId, rows } from './rows.ts'

/** Whether `npm run failures` runs it, which has the time that the suite has not. */
const isLong = process.env.FAILURES_LONG === '1'

/** `short` in the suite, `long` where figures are written down. */
export function scaled(short: number, long: number): number {
  return isLong ? long : short
}

/**
 * The test of one row of docs/failures.md. `see` says a figure that it saw, more than once where there are several;
 * the test's own assertions say whether the promise was kept. `register` stands in for AVA's `test` where a row needs
 * what cannot be had everywhere, as `consulTest` does.
 */
export function row(
  id: RowId,
  run: (t: ExecutionContext, see: (figure: string) => void) => Promise<void>,
  register: (title: string, run: (t: ExecutionContext) => Promise<void>) => void = test,
): void {
  const whole = async (t: ExecutionContext) => {
    const figures: string[] = []
    await run(t, (figure) => {
      figures.push(figure)
      t.log(figure)
    })
    if (figures.length === 0) t.fail('nothing was seen')
    const file = process.env.FAILURES_FILE
    if (file !== undefined && t.passed) appendFileSync(file, `${JSON.stringify({ id, figures })}\n`)
  }
  register(rows[id].failure, isLong ? whole : inCalm(whole))
}
