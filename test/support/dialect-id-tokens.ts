import { exportJWK, generateKeyPair, type JWK, type JWTHeaderParameters, SignJWT } from 'jose'

/** Signs ID tokens with a key of its own. */
export interface IdTokenSigner {
  keys(): Promise<readonly JWK[]>
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>
  /** Signs what comes next as told, instead of as it should. */
  forge(how: 'other-key' | 'none' | 'hmac' | undefined): void
}

export function createIdTokenSigner(): IdTokenSigner {
  // Made when it is needed: it takes a while.
  let made: Promise<{ readonly privateKey: CryptoKey; readonly publicJwk: JWK }> | undefined
  async function make() {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
    const publicJwk = { ...(await exportJWK(publicKey)), kid: 'key-1', alg: 'RS256', use: 'sig' }
    return { privateKey, publicJwk }
  }
  function key() {
    made ??= make()
    return made
  }
  let forged: 'other-key' | 'none' | 'hmac' | undefined
  const header: JWTHeaderParameters = { alg: 'RS256', kid: 'key-1', typ: 'JWT' }
  return {
    keys: async () => [(await key()).publicJwk],
    forge(how) {
      forged = how
    },
    async sign(claims) {
      const token = new SignJWT(claims)
      const { privateKey, publicJwk } = await key()
      if (forged === 'other-key') {
        return token.setProtectedHeader(header).sign((await generateKeyPair('RS256')).privateKey)
      }
      if (forged === 'hmac') {
        // As if the public key were the shared secret.
        const secret = new TextEncoder().encode(JSON.stringify(publicJwk))
        return token.setProtectedHeader({ ...header, alg: 'HS256' }).sign(secret)
      }
      const genuine = await token.setProtectedHeader(header).sign(privateKey)
      if (forged !== 'none') return genuine
      return `${Buffer.from('{"alg":"none"}').toString('base64url')}.${genuine.split('.')[1]}.`
    },
  }
}
