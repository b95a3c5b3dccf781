import { randomBytes, randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { GatewayError } from '../../src/errors.ts'
import type { Grant, Provider } from '../../src/oauth/provider.ts'
import { createVault, type Vault, type VaultOptions } from '../../src/oauth/vault/vault.ts'
import type { Database } from '../../src/persistence/database.ts'
import { createSealer, type EncryptionKey } from '../../src/persistence/sealer.ts'
import { type EmbeddedConfig, type PostgresConfig, startDatabase, type TestedDatabase } from './database.ts'
import { keptLog } from './replicas.ts'

export const newKey = (id: string): EncryptionKey => ({ id, secret: randomBytes(32).toString('base64') })

const key = newKey('test')

/** The code that it fails with; `none` where it does not. */
export const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof GatewayError ? error.code : String(error)),
  )

/** A database that the tests of a file share; each has subjects and providers of its own there. */
export interface SharedDatabase {
  readonly database: Database
  readonly config: EmbeddedConfig | PostgresConfig
}

/** Started by the first test that asks, stopped after the last. */
export function shareDatabase(tested: TestedDatabase): () => Promise<SharedDatabase> {
  const cleanups: (() => unknown)[] = []
  const context = { teardown: (end: () => unknown) => void cleanups.push(end) } as unknown as ExecutionContext
  let shared: Promise<SharedDatabase> | undefined
  test.after.always(async () => {
    for (const end of cleanups.reverse()) await end()
  })
  async function start() {
    const given = await tested.fresh(context)
    // All tests of a file at once, each with a vault of its own, on a machine that may be slow.
    const patient = { poolSize: 40, statementTimeoutMs: 30_000, connectTimeoutMs: 30_000 }
    const config = given.kind === 'postgres' ? { ...given, ...patient } : given
    return { config, database: await startDatabase(context, config) }
  }
  return () => {
    shared ??= start()
    return shared
  }
}

export interface VaultUnderTest {
  readonly vault: Vault
  readonly database: Database
  readonly log: ReturnType<typeof keptLog>
  /** Stores a grant for a subject, a new one unless told otherwise, under the name of the provider. */
  connect(grant: Grant, subject?: string): Promise<Awaited<ReturnType<Vault['store']>>>
}

/** A vault over a database, with one provider, stopped after the test. */
export function startVault(
  t: Pick<ExecutionContext, 'teardown'>,
  { database, config }: SharedDatabase,
  provider: Provider | readonly Provider[],
  given: Partial<VaultOptions> & { readonly keys?: readonly EncryptionKey[] } = {},
): VaultUnderTest {
  const { keys = [key], ...options } = given
  const log = keptLog()
  const providers = [provider].flat() as Provider[]
  const vault = createVault({
    database,
    shared: config.kind === 'postgres',
    poolSize: config.kind === 'postgres' ? config.poolSize : 1,
    statementTimeoutMs: config.kind === 'postgres' ? config.statementTimeoutMs : 5000,
    sealer: createSealer(keys),
    providers: new Map(providers.map((one) => [one.name, one])),
    providerTimeoutMs: 15_000,
    refreshAheadMs: 60_000,
    log: log.log,
    ...options,
  })
  t.teardown(() => vault.stop())
  return {
    vault,
    database,
    log,
    connect: (grant, subject = randomUUID()) =>
      database.transaction((em) => vault.store(em, { subject, provider: providers[0]!.name, grant })),
  }
}

/** For tests that would see each other's rows: each waits until those that asked before have ended. */
export function createTurns(): (t: Pick<ExecutionContext, 'teardown'>) => Promise<void> {
  let turn = Promise.resolve()
  return (t) => {
    const before = turn
    const { promise, resolve } = Promise.withResolvers<void>()
    turn = promise
    t.teardown(resolve)
    return before
  }
}
