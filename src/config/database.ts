import { resolve } from 'node:path'
import type { Environment } from '../discovery/source.ts'
import type { DatabaseConfig, EncryptionKeysConfig } from './config.ts'
import { type Fault, missingInProduction } from './fault.ts'
import type { SettingValues } from './settings.ts'

/** In secrets for development, which everybody can read: k8s/overlays/dev and docker-compose.yml have them. */
const developmentText = 'development-only'

/**
 * Where the gateway keeps what must outlive it. Production takes nothing for granted: neither an embedded
 * database nor a generated key. Faults are added to `faults`.
 */
export function readDatabase(
  values: Partial<SettingValues>,
  environment: Environment,
  cwd: string,
  faults: Fault[],
): DatabaseConfig | undefined {
  const url = values.DATABASE_URL
  if (url === 'none') return { kind: 'none' }
  const production = values.NODE_ENV === 'production'
  if (production && environment.DATABASE_URL === undefined && environment.DATA_DIR === undefined) {
    faults.push(
      missingInProduction('DATABASE_URL', 'PostgreSQL; or DATA_DIR for the embedded database; or none'),
    )
  }
  if (production && environment.ENCRYPTION_KEYS === undefined) {
    faults.push(
      missingInProduction('ENCRYPTION_KEYS', 'id:base64 of 32 bytes; openssl rand -base64 32 makes one'),
    )
  }
  const dataDir = resolve(cwd, values.DATA_DIR ?? '.data')
  const keys = values.ENCRYPTION_KEYS
  for (const { id, secret } of production ? (keys ?? []) : []) {
    if (!Buffer.from(secret, 'base64').toString('latin1').includes(developmentText)) continue
    faults.push({
      place: { variable: 'ENCRYPTION_KEYS' },
      found: `the key ${id}, which everybody knows: it is the one for development`,
      expected: 'a key of your own in production; openssl rand -base64 32 makes one',
    })
  }
  if (production && url !== undefined && new URL(url).password.includes(developmentText)) {
    faults.push({
      place: { variable: 'DATABASE_URL' },
      found: 'the password for development, which everybody knows',
      expected: 'a password of your own in production; openssl rand -hex 32 makes one',
    })
  }
  const encryptionKeys: EncryptionKeysConfig =
    keys === undefined ? { file: resolve(dataDir, 'encryption-keys') } : { keys }
  if (url === undefined) return { kind: 'embedded', dataDir: resolve(dataDir, 'database'), encryptionKeys }
  const { DATABASE_POOL_SIZE, DATABASE_STATEMENT_TIMEOUT, DATABASE_CONNECT_TIMEOUT } = values
  if (!DATABASE_POOL_SIZE || !DATABASE_STATEMENT_TIMEOUT || !DATABASE_CONNECT_TIMEOUT) return undefined
  return {
    kind: 'postgres',
    url,
    poolSize: DATABASE_POOL_SIZE,
    statementTimeoutMs: DATABASE_STATEMENT_TIMEOUT,
    connectTimeoutMs: DATABASE_CONNECT_TIMEOUT,
    encryptionKeys,
  }
}
