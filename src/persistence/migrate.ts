import { Migrator } from '@mikro-orm/migrations'
import type { MikroORM } from '@mikro-orm/postgresql'

/** 'munjigi' as a number: any will do, as long as every replica takes the same. */
const lockNumber = 0x6d756e6a

/**
 * Brings the schema up to date in one transaction, under an advisory lock: replicas that start together take turns,
 * and all but the first find nothing to do.
 */
export async function migrate(orm: MikroORM, schema: string): Promise<void> {
  // First of all, so that the errors of a server that is away are its own.
  await orm.em.getConnection().execute('select 1')
  // The migrator would ask for it within the transaction but on another connection, and PGlite has only one.
  await orm.schema.ensureDatabase()
  // A new one each time: it remembers that it has made its table, also where the transaction was rolled back.
  const migrator = new Migrator(orm.em)
  await orm.em.fork({ disableContextResolution: true }).transactional(async (em) => {
    const context = em.getTransactionContext()
    const connection = em.getConnection()
    const sql = (text: string, parameters: unknown[]) => connection.execute(text, parameters, 'all', context)
    await sql('select pg_advisory_xact_lock(?, hashtext(?))', [lockNumber, schema])
    // `if not exists` asks for the right to create schemas even where there is nothing to create.
    const [found] = await sql('select to_regnamespace(?) is not null as there', [`"${schema}"`])
    if (found?.there !== true) await sql(`create schema "${schema}"`, [])
    await migrator.up({ transaction: context })
  })
}
