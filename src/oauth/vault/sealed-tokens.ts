import { GatewayError } from '../../errors.ts'
import type { Log } from '../../observability/log.ts'
import type { Sealer } from '../../persistence/sealer.ts'
import type { ConnectionRow } from '../entities.ts'
import type { ProviderTokens } from '../provider.ts'

/** The two columns of a connection that hold secrets. */
type SealedTokens = Pick<ConnectionRow, 'sealedAccessToken' | 'sealedRefreshToken'>

/** Tokens as they are stored: each sealed for its row and its column. */
export interface TokenSealer {
  seal(id: string, tokens: Pick<ProviderTokens, 'accessToken' | 'refreshToken'>): Promise<SealedTokens>
  /** @throws GatewayError `vault_unreadable`, after a log line that names the place */
  open(row: ConnectionRow): Promise<ProviderTokens>
  /** The access token alone. @throws the same */
  openAccess(row: Pick<ConnectionRow, 'id' | 'sealedAccessToken'>): Promise<string>
  /** Any other text of the vault. @throws the same */
  openText(sealed: string, place: string): Promise<string>
}

export const accessTokenPlace = (id: string) => `connections.access_token:${id}`
export const refreshTokenPlace = (id: string) => `connections.refresh_token:${id}`
export const revocationPlace = (id: string) => `provider_revocations.tokens:${id}`

export function createTokenSealer(sealer: Sealer, log: Log): TokenSealer {
  async function openText(sealed: string, place: string): Promise<string> {
    try {
      return await sealer.open(sealed, place)
    } catch (error) {
      // The sealer's errors name the place and never the content.
      log.error({ place }, `a stored token cannot be read: ${error instanceof Error ? error.message : ''}`)
      throw new GatewayError('vault_unreadable')
    }
  }

  const openAccess: TokenSealer['openAccess'] = ({ id, sealedAccessToken }) =>
    openText(sealedAccessToken, accessTokenPlace(id))

  return {
    async seal(id, { accessToken, refreshToken }) {
      return {
        sealedAccessToken: await sealer.seal(accessToken, accessTokenPlace(id)),
        sealedRefreshToken:
          refreshToken === undefined ? null : await sealer.seal(refreshToken, refreshTokenPlace(id)),
      }
    },
    openAccess,
    async open(row) {
      const { id, sealedRefreshToken, tokenType, expiresAt, scope } = row
      return {
        accessToken: await openAccess(row),
        tokenType,
        refreshToken:
          sealedRefreshToken == null ? undefined : await openText(sealedRefreshToken, refreshTokenPlace(id)),
        expiresAt: expiresAt == null ? undefined : expiresAt.getTime() / 1000,
        scope: scope === '' ? undefined : scope,
      }
    },
    openText,
  }
}
