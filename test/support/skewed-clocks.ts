import type { ExecutionContext } from 'ava'
import { createForger } from './forger.ts'
import type { Replica } from './replica.ts'
import { encryptionKey, issuer, signingKeys } from './token-neighbourhood.ts'
import { until } from './until.ts'

/**
 * A token of each replica is accepted by all of them, and refused by all once it is revoked where it came from. Gives
 * how long that took each time, in milliseconds.
 */
export async function revokeEverywhere(
  t: ExecutionContext,
  replicas: readonly Replica[],
): Promise<readonly number[]> {
  const lagsMs: number[] = []
  for (const from of replicas) {
    const { access_token, refresh_token } = await from.create()
    for (const to of replicas) t.is((await to.ask('/api/house', access_token)).status, 200)
    const refreshed = await from.post('/tokens/refresh', { refresh_token })
    t.is(refreshed.status, 200)
    t.is((await from.post('/tokens/revoke', { token: access_token })).status, 200)
    const revokedAt = performance.now()
    for (const to of replicas) {
      await until(async () => (await to.ask('/api/house', access_token)).status === 401, 'it is refused')
    }
    lagsMs.push(performance.now() - revokedAt)
  }
  return lagsMs
}

/** Makes tokens of the gateways' that expire in so many seconds, by the right clock. */
export async function createExpiring(url: string): Promise<(seconds: number) => Promise<string>> {
  const [row] = await signingKeys(url)
  const forger = await createForger(row!, encryptionKey, issuer)
  const now = () => Math.floor(Date.now() / 1000)
  return (seconds) => forger.genuine({}, { iat: now() - 600, exp: now() + seconds })
}
