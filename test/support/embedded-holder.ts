import { createDatabase } from '../../src/persistence/database.ts'
import { migrations } from '../../src/persistence/migrations/index.ts'
import { gatewayTables } from '../../src/persistence/tables.ts'
import { DenialEntity } from '../../src/tokens/entities.ts'

/** Has the embedded database of DATA_DIR, commits a row, says so, and stays until it is killed. */
const database = createDatabase({
  config: { kind: 'embedded', dataDir: process.env.DATA_DIR ?? '', encryptionKeys: { keys: [] } },
  schema: 'munjigi',
  entities: gatewayTables.entities,
  migrations,
  log: console,
})
await database.start()
const row = { key: `jti:${process.pid}`, expiresAt: new Date() }
await database.run((em) => em.insert(DenialEntity, row as never))
console.log('committed')
setInterval(() => {}, 1_000_000)
