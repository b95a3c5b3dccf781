import type { Database } from './database.ts'

/**
 * A database as a client of node-postgres, as far as rate-limiter-flexible makes use of one: `$1` and so on, rows and
 * their count.
 */
export function createPgQuery(database: Pick<Database, 'run'>) {
  return async ({ text, values }: { readonly text: string; readonly values: readonly unknown[] }) => {
    const parameters: unknown[] = []
    const sql = text.replace(/\$(\d+)/g, (_, number: string) => {
      parameters.push(values[Number(number) - 1])
      return '?'
    })
    const rows = await database.run((em) => em.execute<object[]>(sql, parameters))
    return { rows, rowCount: rows.length }
  }
}
