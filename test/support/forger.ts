import { createHmac, createPublicKey, generateKeyPairSync, sign as signWith } from 'node:crypto'
import { exportJWK, type JWK } from 'jose'
import { createSealer } from '../../src/persistence/sealer.ts'
import type { SigningKey } from '../../src/tokens/entities.ts'
import { openPrivateKey } from '../../src/tokens/signing-key.ts'

export type Members = Readonly<Record<string, unknown>>

/** Makes tokens that the gateway did not, and some with its own key. */
export interface Forger {
  /** What a token of the gateway says in its header, and of whom. */
  readonly header: Members
  claims(): Record<string, unknown>
  /** Signed with the gateway's own key: whatever is wrong with it, it is not the signature. */
  genuine(header?: Members | string, claims?: Members | string | Buffer): Promise<string>
  /** The signature of that key alone, r and s of 32 bytes each. */
  signature(input: string): Promise<Buffer>
  /** Signed with a key of the attacker's, who knows everything that is public. */
  attackers(header?: Members | string, claims?: Members | string): string
  readonly attackersJwk: JWK
  /** Signed with HMAC, as if a public thing were the shared secret. */
  hmac(bits: 256 | 384 | 512, secret: string | Buffer): string
  /** The gateway's public key in every shape. */
  readonly publicJwk: JWK
  readonly pem: string
  readonly der: Buffer
}

/** A row of the gateway's table of signing keys, as the driver gives it. */
export interface SigningKeyRow {
  readonly kid: string
  readonly public_jwk: JWK
  readonly sealed_private_key: string
}

export async function createForger(
  row: SigningKeyRow,
  encryptionKey: { readonly id: string; readonly secret: string },
  issuer: string,
): Promise<Forger> {
  const stored = { kid: row.kid, sealedPrivateKey: row.sealed_private_key } as SigningKey
  const key = await openPrivateKey(createSealer([encryptionKey]), stored)
  const { kty, crv, x, y } = row.public_jwk
  const publicJwk = { kty, crv, x, y } as JWK
  const publicKey = createPublicKey({ key: publicJwk as Record<string, string>, format: 'jwk' })
  const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const header = { alg: 'ES256', typ: 'at+jwt', kid: row.kid }

  function claims() {
    const now = Math.floor(Date.now() / 1000)
    return {
      iss: issuer,
      aud: issuer,
      sub: 'user-1',
      client_id: 'test',
      iat: now,
      exp: now + 600,
      jti: crypto.randomUUID(),
      sid: crypto.randomUUID(),
    }
  }

  const inputOf = (given: Members | string, said: Members | string | Buffer) =>
    `${encode(typeof given === 'string' ? given : merged(header, given))}.${encode(
      typeof said === 'string' || Buffer.isBuffer(said) ? said : merged(claims(), said),
    )}`

  async function signature(input: string) {
    const algorithm = { name: 'ECDSA', hash: 'SHA-256' }
    return Buffer.from(await crypto.subtle.sign(algorithm, key, Buffer.from(input)))
  }

  return {
    header,
    claims,
    signature,
    async genuine(given = {}, said = {}) {
      const input = inputOf(given, said)
      return `${input}.${encode(await signature(input))}`
    },
    attackers(given = {}, said = {}) {
      const input = inputOf(given, said)
      const options = { key: attacker.privateKey, dsaEncoding: 'ieee-p1363' } as const
      return `${input}.${encode(signWith('sha256', Buffer.from(input), options))}`
    },
    attackersJwk: await exportJWK(attacker.publicKey),
    hmac(bits, secret) {
      const input = inputOf({ alg: `HS${bits}` }, {})
      return `${input}.${createHmac(`sha${bits}`, secret).update(input).digest('base64url')}`
    },
    publicJwk,
    pem: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    der: publicKey.export({ type: 'spki', format: 'der' }),
  }
}

/** A part of a token: JSON where it is an object. */
export function encode(part: Members | string | Buffer): string {
  const bytes = typeof part === 'string' || Buffer.isBuffer(part) ? part : JSON.stringify(part)
  return Buffer.from(bytes as string).toString('base64url')
}

/** Undefined leaves a member out. */
function merged(usual: Members, given: Members): Members {
  return Object.fromEntries(Object.entries({ ...usual, ...given }).filter(([, value]) => value !== undefined))
}

/** The order of P-256 (SEC 2 §2.4.2). */
export const curveOrder = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** r and s, each as 32 bytes. */
export function ecdsa(r: bigint, s: bigint): Buffer {
  return Buffer.from([r, s].map((number) => number.toString(16).padStart(64, '0')).join(''), 'hex')
}

export function numbersOf(signature: Buffer): readonly [r: bigint, s: bigint] {
  const number = (from: number) => BigInt(`0x${signature.subarray(from, from + 32).toString('hex')}`)
  return [number(0), number(32)]
}

/** The same in DER, which JWS does not use (RFC 7518 §3.4). */
export function derOf(signature: Buffer): Buffer {
  const integers = numbersOf(signature).map((number) => {
    const hex = number.toString(16)
    const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')
    const positive = (bytes[0] ?? 0) > 127 ? Buffer.concat([Buffer.of(0), bytes]) : bytes
    return Buffer.concat([Buffer.of(2, positive.length), positive])
  })
  const content = Buffer.concat(integers)
  return Buffer.concat([Buffer.of(0x30, content.length), content])
}
