import type { PGlite } from '@electric-sql/pglite'
import type { EntitySchema } from '@mikro-orm/core'
import { Migrator } from '@mikro-orm/migrations'
import { MikroORM as PgliteOrm } from '@mikro-orm/pglite'
import { MikroORM as PostgresOrm } from '@mikro-orm/postgresql'
import type { DatabaseOptions } from './database.ts'
import { type PostgresClients, type PostgresConfig, poolOptions } from './postgres.ts'

export type Tables = Pick<DatabaseOptions, 'schema' | 'entities' | 'migrations'>

/** MikroORM over a bounded pool of PostgreSQL connections; none is opened yet. */
export function createPostgresOrm(
  tables: Tables,
  config: PostgresConfig,
  clients: PostgresClients,
): PostgresOrm {
  return new PostgresOrm({
    ...ormOptions(tables),
    dbName: 'unused',
    driverOptions: poolOptions(config, clients),
  })
}

/** MikroORM over PGlite; whoever opened that closes it. */
export function createPgliteOrm(tables: Tables, pglite: PGlite): PostgresOrm {
  const orm = new PgliteOrm({ ...ormOptions(tables), driverOptions: { pglite } })
  // The same but for its driver: both speak through SqlEntityManager.
  return orm as unknown as PostgresOrm
}

function ormOptions({ schema, entities, migrations }: Tables) {
  return {
    schema,
    entities: [...entities] as EntitySchema[],
    extensions: [Migrator],
    // Its warnings are errors that reach us as such; its other words concern nobody.
    logger: () => {},
    // Never creates a database, least of all one that a pooler knows by another name.
    schemaGenerator: { managementDbName: '' },
    migrations: {
      migrationsList: migrations.map(({ name, class: migration }) => ({ name, class: migration as never })),
      tableName: `${schema}.migrations`,
      snapshot: false,
      silent: true,
      // Makes it leave its table for the transaction, see migrate.ts.
      includeWildcardSchema: true,
    },
  }
}
