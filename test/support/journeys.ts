import test, { type ExecutionContext } from 'ava'
import { inCalm } from './calm.ts'
import { noPostgres } from './postgres.ts'

/**
 * A test that loads the machine, or counts what others would count in: one after the other. Skipped where there is no
 * PostgreSQL, unless REQUIRE_POSTGRES=1. What one process believes of another ends after seconds, by the gateway's own rule.
 */
export function journey(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  if (noPostgres === undefined) test.serial(title, inCalm(run))
  else if (process.env.REQUIRE_POSTGRES === '1') test(title, (t) => t.fail(noPostgres))
  else test.skip(`${title} (SKIPPED, ${noPostgres})`, run)
}
