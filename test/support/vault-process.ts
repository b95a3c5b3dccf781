import { GatewayError } from '../../src/errors.ts'
import { createVault } from '../../src/oauth/vault/vault.ts'
import { createDatabase, type DatabaseOptions } from '../../src/persistence/database.ts'
import { createSealer } from '../../src/persistence/sealer.ts'
import { gatewayTables } from '../../src/persistence/tables.ts'
import { createTestProvider } from './token-provider.ts'
import type { VaultAnswer, VaultCommand, VaultProcessSettings } from './vault-replica.ts'

/** A process with a vault, which does what it is told over IPC; see vault-replica.ts. */
const settings = JSON.parse(process.env.VAULT ?? '') as VaultProcessSettings
const log = { debug() {}, info() {}, warn() {}, error() {} }
const config: DatabaseOptions['config'] & { readonly kind: 'postgres' } = {
  kind: 'postgres',
  url: settings.databaseUrl,
  encryptionKeys: { keys: [] },
  ...{ poolSize: 5, statementTimeoutMs: 30_000, connectTimeoutMs: 30_000, ...settings.database },
}
const database = createDatabase({ config, ...gatewayTables, log })
await database.start()
const provider = createTestProvider(settings.providerUrl, { timeoutMs: settings.providerTimeoutMs })
const vault = createVault({
  database,
  shared: true,
  poolSize: config.poolSize,
  statementTimeoutMs: config.statementTimeoutMs,
  sealer: createSealer(settings.keys),
  providers: new Map([[provider.name, provider]]),
  providerTimeoutMs: settings.providerTimeoutMs,
  refreshAheadMs: 60_000,
  log,
})

async function one({ action, id, subject }: VaultCommand): Promise<VaultAnswer> {
  try {
    if (action === 'select') {
      await database.run((em) => em.execute('select 1'))
      return { code: 'none' }
    }
    const connection = await vault.find(id, subject)
    if (connection === undefined) return { code: 'not_found' }
    return { token: (await vault[action](connection)).accessToken }
  } catch (error) {
    return { code: error instanceof GatewayError ? error.code : String(error) }
  }
}

process.on('message', async ({ number, command }: { number: number; command: VaultCommand }) => {
  const answers = await Promise.all(Array.from({ length: command.times }, () => one(command)))
  process.send?.({ number, answers })
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
