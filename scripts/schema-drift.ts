import { PGlite } from '@electric-sql/pglite'
import { authEntities } from '../services/auth/entities.ts'
import { migrations as authMigrations } from '../services/auth/migrations/index.ts'
import { migrate } from '../src/persistence/migrate.ts'
import { createPgliteOrm, type Tables } from '../src/persistence/orm.ts'
import { gatewayTables } from '../src/persistence/tables.ts'

/** Every set of tables: what its migrations lead to must be what its entities say. */
const everyTables: readonly Tables[] = [
  gatewayTables,
  { schema: 'auth', entities: [...authEntities], migrations: authMigrations },
]

/** What a migration has yet to do so that the tables are as the entities say; `undefined` if nothing. */
export async function findSchemaDrift(asked = everyTables): Promise<string | undefined> {
  const pglite = await PGlite.create()
  try {
    const complaints: string[] = []
    for (const tables of asked) {
      const orm = createPgliteOrm(tables, pglite)
      await migrate(orm, tables.schema)
      const missing = (await orm.schema.getUpdateSchemaSQL({ wrap: false, schema: tables.schema })).trim()
      if (missing !== '') complaints.push(`the entities of ${tables.schema} ask for a migration:\n${missing}`)
      await orm.close()
    }
    return complaints.length === 0 ? undefined : complaints.join('\n')
  } finally {
    await pglite.close()
  }
}
