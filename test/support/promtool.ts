import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { findPromtool } from '../../scripts/promtool.ts'

const run = promisify(execFile)
const promtool = await findPromtool()

/** Runs promtool, and rejects with what it complained of. */
export type Promtool = (...args: readonly string[]) => Promise<string>

/** A test by Prometheus' own parser: skipped where it cannot be had, failed instead with REQUIRE_PROMTOOL=1. */
export function promtoolTest(
  title: string,
  work: (t: ExecutionContext, promtool: Promtool) => Promise<void>,
): void {
  if ('binary' in promtool) {
    const { binary } = promtool
    test(title, (t) => work(t, async (...args) => (await run(binary, args)).stdout))
  } else if (process.env.REQUIRE_PROMTOOL === '1') test(title, (t) => t.fail(promtool.unavailable))
  else test.skip(`${title} (SKIPPED, ${promtool.unavailable})`, (t) => t.pass())
}
