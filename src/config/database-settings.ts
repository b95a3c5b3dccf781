import { z } from 'zod'
import { timeout } from '../discovery/description.ts'
import type { Setting } from './settings.ts'

const urlMessage = 'expected a URL such as postgres://user:password@host:5432/name, or none for no database'
const databaseUrl = z
  .string()
  .refine((text) => text === 'none' || /^postgres(?:ql)?:\/\/[^/?#\s]+/i.test(text), urlMessage)
  .refine((text) => text === 'none' || URL.canParse(text), urlMessage)

const poolMessage = 'expected a whole number of connections from 2 to 500'
const poolSize = z
  .string()
  .regex(/^\d{1,3}$/, poolMessage)
  .transform(Number)
  .refine((value) => value >= 2 && value <= 500, poolMessage)

const keysMessage =
  'expected keys as id:base64 of 32 bytes, newest first, separated by commas; openssl rand -base64 32 makes one'
const encryptionKeys = z
  .string()
  .transform((text) => text.split(',').map((item) => toKey(item.trim())))
  .pipe(z.array(z.object({ id: z.string(), secret: z.string() }, keysMessage)))
  .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, 'expected each key id once')

/** Where the gateway keeps what must outlive it, and how it is kept secret. */
export const databaseSettings = {
  DATABASE_URL: {
    group: 'Database',
    meaning:
      'PostgreSQL, as postgres://user:password@host:5432/name; none for a gateway without tokens of its own, logins and vault',
    schema: databaseUrl,
    unset: 'PGlite, embedded, in DATA_DIR',
    secret: true,
  },
  DATA_DIR: {
    group: 'Database',
    meaning: 'where the embedded database and generated keys live; production takes it only where it is set',
    schema: z.string(),
    default: '.data',
  },
  DATABASE_POOL_SIZE: {
    group: 'Database',
    meaning:
      'the most connections to PostgreSQL that one gateway opens; its workers divide them, at least 2 each',
    schema: poolSize,
    default: '10',
  },
  DATABASE_STATEMENT_TIMEOUT: {
    group: 'Database',
    meaning: 'how long one statement may take before it is given up',
    schema: timeout,
    default: '5s',
  },
  DATABASE_CONNECT_TIMEOUT: {
    group: 'Database',
    meaning: 'for a connection to PostgreSQL, and for a free one of the pool',
    schema: timeout,
    default: '2s',
  },
  ENCRYPTION_KEYS: {
    group: 'Database',
    meaning:
      'keys that secrets are stored under, newest first: id:base64 of 32 bytes, separated by commas; ' +
      'required in production',
    schema: encryptionKeys,
    unset: 'generated into DATA_DIR in development',
    secret: true,
  },
} as const satisfies Record<string, Setting>

/** `undefined` where it is none: standard or URL-safe base64 of exactly 32 bytes. */
function toKey(text: string): { id: string; secret: string } | undefined {
  const [, id, secret] = /^([A-Za-z0-9._-]{1,64}):([A-Za-z0-9+/_-]{43}=?)$/.exec(text) ?? []
  if (id === undefined || secret === undefined) return undefined
  return Buffer.from(secret, 'base64').length === 32 ? { id, secret } : undefined
}
