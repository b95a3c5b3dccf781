import { randomBytes } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import type { SigningKeyRow } from './forger.ts'
import { execute } from './postgres.ts'
import type { ReplicaOptions } from './replica.ts'
import { httpUpstream } from './upstream.ts'

export const encryptionKey = { id: 'journey', secret: randomBytes(32).toString('base64') }
export const clientSecret = randomBytes(24).toString('base64url')
export const issuer = 'https://gateway.example.com'

/** What starts gateways on one PostgreSQL, with a house behind them. */
export async function tokenNeighbourhood(t: ExecutionContext, url: string) {
  const house = await httpUpstream(t, (_request, response) => response.end('house'))
  const options = (env: Readonly<Record<string, string>> = {}): ReplicaOptions => ({
    house: house.origin,
    env: {
      PUBLIC_URL: issuer,
      ENCRYPTION_KEYS: `${encryptionKey.id}:${encryptionKey.secret}`,
      GATEWAY_CLIENTS: `journey:${clientSecret}`,
      TOKEN_RATE_LIMIT: '1000000/1m',
      DATABASE_URL: url,
      ...env,
    },
  })
  return { url, options }
}

interface StoredKey extends SigningKeyRow {
  readonly activated_at: Date | null
  readonly retired_at: Date | null
}

/** The active one first. */
export async function signingKeys(url: string): Promise<readonly StoredKey[]> {
  const sql = 'select * from munjigi.signing_keys order by retired_at desc, activated_at nulls last'
  return (await execute(url, sql)) as unknown as StoredKey[]
}
