import { decodeProtectedHeader, FlattenedEncrypt, type FlattenedJWE, flattenedDecrypt } from 'jose'

/** Encrypts what is stored, and opens it again. */
export interface Sealer {
  /**
   * @param place where the text will be stored, such as `signing_keys.private_key:<kid>`: bound in as additional
   *   authenticated data, so that what was sealed for one place cannot be opened in another
   */
  seal(plaintext: string, place: string): Promise<string>
  /** @throws Error naming the place, never the content, where no key opens it or it was changed */
  open(sealed: string, place: string): Promise<string>
  /** Whether it was sealed under the newest key; if not it is due for sealing anew. */
  isCurrent(sealed: string): boolean
}

/** A key-encryption key. */
export interface EncryptionKey {
  readonly id: string
  /** 32 bytes in base64 or base64url. */
  readonly secret: string
}

const keyManagement = 'A256GCMKW'
const contentEncryption = 'A256GCM'
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * Envelope encryption: every value has a random data key of its own, wrapped under the newest key-encryption key
 * (JWE flattened JSON, RFC 7516 §7.2.2; A256GCMKW, RFC 7518 §4.7). The older keys only open.
 *
 * @param keys newest first
 */
export function createSealer(keys: readonly EncryptionKey[]): Sealer {
  const [newest] = keys
  if (newest === undefined) throw new Error('expected at least one encryption key')
  const secrets = new Map(keys.map(({ id, secret }) => [id, new Uint8Array(Buffer.from(secret, 'base64'))]))
  const newestSecret = secrets.get(newest.id)!

  return {
    async seal(plaintext, place) {
      const jwe = await new FlattenedEncrypt(encoder.encode(plaintext))
        .setProtectedHeader({ alg: keyManagement, enc: contentEncryption, kid: newest.id })
        .setAdditionalAuthenticatedData(encoder.encode(place))
        .encrypt(newestSecret)
      // The place is known to whoever opens it, and believed from nobody else.
      const { aad: _, ...stored } = jwe
      return JSON.stringify(stored)
    },

    async open(sealed, place) {
      const jwe = parse(sealed)
      if (jwe === undefined) throw new Error(`${place} holds no sealed text`)
      const secret = secrets.get(jwe.kid)
      if (secret === undefined) {
        const id = JSON.stringify(jwe.kid.slice(0, 64))
        throw new Error(`${place} was sealed under the key ${id}, which is missing from ENCRYPTION_KEYS`)
      }
      try {
        const { plaintext } = await flattenedDecrypt(
          { ...jwe.parts, aad: Buffer.from(place).toString('base64url') },
          secret,
          { keyManagementAlgorithms: [keyManagement], contentEncryptionAlgorithms: [contentEncryption] },
        )
        return decoder.decode(plaintext)
      } catch {
        // No cause: nothing of the text may travel with the error.
        throw new Error(
          `${place} cannot be opened with the key ${JSON.stringify(jwe.kid)} of ENCRYPTION_KEYS: ` +
            'another key of that id sealed it, or it was changed, or moved from another place',
        )
      }
    },

    isCurrent: (sealed) => parse(sealed)?.kid === newest.id,
  }
}

/** What `seal` made, as far as it can be told without a key. */
function parse(sealed: string): { readonly parts: FlattenedJWE; readonly kid: string } | undefined {
  try {
    const parts: unknown = JSON.parse(sealed)
    if (typeof parts !== 'object' || parts === null) return undefined
    const { kid } = decodeProtectedHeader(parts)
    return typeof kid === 'string' ? { parts: parts as FlattenedJWE, kid } : undefined
  } catch {
    return undefined
  }
}
