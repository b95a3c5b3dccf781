import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'
import type { Sealer } from '../persistence/sealer.ts'
import type { SigningKey } from './entities.ts'

const algorithm = 'ES256'
/** An allow-list: what jose exports of a private key has its secret `d` among the rest. */
const publicMembers = ['kty', 'crv', 'x', 'y'] as const

/** Where the private part of a key is stored, for the sealer. */
const placeOf = (kid: string) => `signing_keys.sealed_private_key:${kid}`

/** A new ES256 key as it is stored: not signing yet, its private part sealed, its name its RFC 7638 thumbprint. */
export async function generateSigningKey(sealer: Sealer, createdAt: Date): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true })
  const jwk = await exportJWK(privateKey)
  const publicJwk = pickPublic(jwk)
  const kid = await calculateJwkThumbprint(publicJwk)
  const sealedPrivateKey = await sealer.seal(JSON.stringify(jwk), placeOf(kid))
  return { kid, algorithm, publicJwk, sealedPrivateKey, createdAt, activatedAt: null, retiredAt: null }
}

/**
 * The private part, ready to sign and never to be exported.
 * @throws Error of the sealer's, naming the key
 */
export async function openPrivateKey(sealer: Sealer, key: SigningKey): Promise<CryptoKey> {
  const jwk: JWK = JSON.parse(await sealer.open(key.sealedPrivateKey, placeOf(key.kid)))
  return (await importJWK(jwk, algorithm, { extractable: false })) as CryptoKey
}

/** The public part, for verifying. */
export async function importPublicKey(key: SigningKey): Promise<CryptoKey> {
  return (await importJWK(pickPublic(key.publicJwk), algorithm)) as CryptoKey
}

/** The sealed private part, sealed anew under the newest encryption key; undefined where it is already. */
export async function resealPrivateKey(sealer: Sealer, key: SigningKey): Promise<string | undefined> {
  if (sealer.isCurrent(key.sealedPrivateKey)) return undefined
  const place = placeOf(key.kid)
  return sealer.seal(await sealer.open(key.sealedPrivateKey, place), place)
}

/** As the JWKS shows it (RFC 7517 §4): public members only. */
export function publishedKey(key: SigningKey): JWK {
  return { ...pickPublic(key.publicJwk), kid: key.kid, alg: algorithm, use: 'sig' }
}

function pickPublic(jwk: JWK): Record<(typeof publicMembers)[number], string> {
  const [kty, crv, x, y] = publicMembers.map((name) => String(jwk[name]))
  return { kty: kty!, crv: crv!, x: x!, y: y! }
}
