import type { Config } from '../config/config.ts'
import type { Log } from '../observability/log.ts'
import { createDatabase, type Database } from '../persistence/database.ts'
import { gatewayTables } from '../persistence/tables.ts'

/**
 * Runs `work` with the gateway's database, and closes it again. A gateway waits for its database; a command does not.
 * @throws Error saying why the database cannot be had, such as that a running gateway has the embedded one open
 */
export async function withDatabase<T>(
  config: Exclude<Config['database'], { kind: 'none' }>,
  log: Log,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const away = Promise.withResolvers<never>()
  const database = createDatabase({
    config,
    ...gatewayTables,
    log: {
      ...log,
      warn(fields, message) {
        if (typeof fields.fault === 'string') away.reject(new Error(`no database: ${fields.fault}`))
        else log.warn(fields, message)
      },
    },
  })
  try {
    await Promise.race([database.start(), away.promise])
    // From now on a fault is an error of the work's own.
    away.promise.catch(() => {})
    return await work(database)
  } finally {
    await database.stop()
  }
}
