import { randomUUID } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { PGlite } from '@electric-sql/pglite'
import test, { type ExecutionContext } from 'ava'
import type { DatabaseConfig } from '../../src/config/config.ts'
import { createDatabase, type Database, type DatabaseOptions } from '../../src/persistence/database.ts'
import { lockDirectory } from '../../src/persistence/directory-lock.ts'
import { migrations } from '../../src/persistence/migrations/index.ts'
import { gatewayTables } from '../../src/persistence/tables.ts'
import { execute, noPostgres, startPostgres, type TestPostgres } from './postgres.ts'
import { patienceMs } from './until.ts'

export type EmbeddedConfig = Extract<DatabaseConfig, { kind: 'embedded' }>
export type PostgresConfig = Extract<DatabaseConfig, { kind: 'postgres' }>

/** One of the two databases that every test runs on. */
export interface TestedDatabase {
  readonly name: 'PGlite' | 'PostgreSQL'
  /** Declares a test whose title starts with the database's name. */
  test(title: string, run: (t: ExecutionContext) => Promise<void>): void
  /** The configuration of a new, empty database that is gone after the test. */
  fresh(t: ExecutionContext): Promise<EmbeddedConfig | PostgresConfig>
}

/** Declares tests twice: on PGlite and on a real PostgreSQL, one server a file (or that of `DATABASE_URL`). */
export function eachDatabase(declare: (database: TestedDatabase) => void): void {
  declare({
    name: 'PGlite',
    test: (title, run) => test(`PGlite: ${title}`, run),
    fresh: async (t) => freshEmbedded(t),
  })
  declare({ name: 'PostgreSQL', test: postgresTest, fresh: sharedPostgres() })
}

/** A test that needs a PostgreSQL server: skipped where none can be had, failed instead with REQUIRE_POSTGRES=1. */
export function postgresTest(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  const name = `PostgreSQL: ${title}`
  if (noPostgres === undefined) test(name, run)
  else if (process.env.REQUIRE_POSTGRES === '1') test(name, (t) => t.fail(noPostgres))
  else test.skip(`${name} (SKIPPED, ${noPostgres})`, run)
}

/** One server for the tests of a file, started by the first that asks, ended after the last. */
export function sharedPostgres(): (t: ExecutionContext) => Promise<PostgresConfig> {
  const external = process.env.DATABASE_URL
  let server: Promise<TestPostgres> | undefined
  test.after.always(async () => await (await server)?.stop())
  return async (t) => {
    if (external !== undefined && external !== 'none')
      return postgresConfig(await externalDatabase(t, external))
    server ??= startPostgres()
    return postgresConfig(await (await server).createDatabase())
  }
}

/** A server of this test alone, to be frozen and killed. */
export async function ownPostgres(t: ExecutionContext): Promise<TestPostgres> {
  const server = await startPostgres()
  t.teardown(server.stop)
  return server
}

export function postgresConfig(url: string, given: Partial<PostgresConfig> = {}): PostgresConfig {
  return {
    kind: 'postgres',
    url,
    poolSize: 5,
    statementTimeoutMs: 60_000,
    connectTimeoutMs: 60_000,
    encryptionKeys: { keys: [] },
    ...given,
  }
}

/** An empty embedded database in a folder of its own. */
export async function freshEmbedded(t: Pick<ExecutionContext, 'teardown'>): Promise<EmbeddedConfig> {
  const folder = mkdtempSync(join(tmpdir(), 'munjigi-data-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const dataDir = join(folder, 'database')
  cpSync(await prepareEmbedded(), dataDir, { recursive: true })
  return { kind: 'embedded', dataDir, encryptionKeys: { keys: [] } }
}

/** A database with the gateway's tables, started; stopped after the test. */
export async function startDatabase(
  t: ExecutionContext,
  config: EmbeddedConfig | PostgresConfig,
  given: Partial<DatabaseOptions> = {},
): Promise<Database> {
  const database = createTestDatabase(t, config, given)
  await database.start()
  return database
}

/** The same, not yet started. */
export function createTestDatabase(
  t: ExecutionContext,
  config: EmbeddedConfig | PostgresConfig,
  given: Partial<DatabaseOptions> = {},
): Database {
  const database = createDatabase({
    config,
    schema: 'munjigi',
    entities: gatewayTables.entities,
    migrations,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    ...given,
  })
  t.teardown(() => database.stop())
  return database
}

async function externalDatabase(t: ExecutionContext, url: string): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await execute(url, `create database ${name}`)
  t.teardown(() => execute(url, `drop database if exists ${name} with (force)`).then(() => {}))
  const own = new URL(url)
  own.pathname = `/${name}`
  return own.href
}

/** Making an empty one costs seconds of CPU; so it is made once, for all test files of all runs. */
async function prepareEmbedded(): Promise<string> {
  const manifest = new URL('../package.json', import.meta.resolve('@electric-sql/pglite'))
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  const prepared = join('.cache', `pglite-${version}`)
  if (existsSync(prepared)) return prepared
  mkdirSync('.cache', { recursive: true })
  // Test files run side by side: the others wait for whoever comes first.
  const unlock = await whenFree(() => lockDirectory(prepared))
  try {
    if (existsSync(prepared)) return prepared
    const made = mkdtempSync(join('.cache', 'pglite-'))
    await (await PGlite.create(made)).close()
    renameSync(made, prepared)
    return prepared
  } finally {
    unlock()
  }
}

async function whenFree<T>(take: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    try {
      return await take()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await delay(50)
    }
  }
}
