import type { ExecutionContext } from 'ava'
import type { Database } from '../../src/persistence/database.ts'
import { startDatabase, type TestedDatabase } from './database.ts'

/**
 * The databases of so many replicas: each has its own connections to one PostgreSQL. The embedded database is one
 * process's alone, so there they share the one.
 */
export async function replicaDatabases(
  t: ExecutionContext,
  tested: TestedDatabase,
  count: number,
): Promise<readonly Database[]> {
  // Half a gigabyte each: one test of a file at a time.
  if (tested.name === 'PGlite') await takeTurn(t)
  const config = await tested.fresh(t)
  if (config.kind === 'embedded') {
    const database = await startDatabase(t, config)
    return Array.from({ length: count }, () => database)
  }
  return Promise.all(Array.from({ length: count }, () => startDatabase(t, { ...config, poolSize: 2 })))
}

let turn = Promise.resolve()

/** Waits until the tests that asked before have ended. */
async function takeTurn(t: ExecutionContext): Promise<void> {
  const before = turn
  const { promise, resolve } = Promise.withResolvers<void>()
  turn = promise
  t.teardown(resolve)
  await before
}

/** A log that keeps its warnings and errors, and says when there is another. */
export function keptLog() {
  const entries: { message: string; fields: Readonly<Record<string, unknown>> }[] = []
  const keep = (fields: Readonly<Record<string, unknown>>, message: string) =>
    void entries.push({ message, fields })
  return { entries, log: { debug() {}, info() {}, warn: keep, error: keep } }
}
