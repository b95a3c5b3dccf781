import type { CryptoKey, JWK } from 'jose'
import type { Log } from '../observability/log.ts'
import type { Database } from '../persistence/database.ts'
import type { Sealer } from '../persistence/sealer.ts'
import type { SigningKey } from './entities.ts'
import { type Rewrapped, rewrapKeys } from './key-rewrap.ts'
import {
  createKeyRotation,
  type Distrusted,
  type KeyAges,
  type RotateOptions,
  readKeyAges,
  signingKeysChannel,
  type TooEarly,
} from './key-rotation.ts'
import { importPublicKey, openPrivateKey, publishedKey } from './signing-key.ts'

/** The gateway's own signing keys as a request needs them: everything is in memory. */
export interface KeyRing {
  /** The key that signs now; undefined until the keys have been read, or where it cannot be opened. */
  readonly active: () => SigningKeyPair | undefined
  /** The public key of a `kid`, for verifying; undefined for one that is not ours. */
  readonly find: (kid: string) => CryptoKey | undefined
  /**
   * The JSON Web Key Set (RFC 7517): active, next and retired keys, public members only. Others may keep it for
   * `jwksMaxAgeSeconds` (key-rotation.ts).
   */
  readonly jwks: () => { readonly keys: readonly JWK[] }
  /** Which keys there are, for an operator: nothing of them but their names and ages. */
  readonly status: () => KeyRingStatus
  /** Reads the keys, makes the first ones, follows changes, rotates by age: for as long as the database runs. */
  start(): void
  /**
   * Puts the next key in the active one's place.
   * @returns the kid that signs from now on
   * @throws Error saying since when the next key is known and how long it takes still, or why it cannot be opened
   */
  rotate(options?: RotateOptions): Promise<string>
  /**
   * Deletes a key that somebody else may have, or all of them: what it signed is worth nothing any more, at every
   * replica as soon as it hears of it, as of a revocation.
   * @throws Error where there is no such key, or the next one has to sign and cannot be opened
   */
  distrust(kid?: string): Promise<Distrusted>
  /** Reads the keys, once. */
  read(): Promise<void>
  /** Seals anew what is sealed under an older encryption key, so that that one can be given up. */
  rewrap(): Promise<Rewrapped>
}

export interface KeyRingStatus {
  readonly keys: readonly KeyStatus[]
  /** Milliseconds since the epoch; undefined where it is not known. */
  readonly nextRotationAt: number | undefined
}

interface KeyStatus {
  readonly kid: string
  readonly algorithm: string
  /** `active` signs, `next` will; tokens that a `retired` one signed are still valid. */
  readonly state: 'active' | 'next' | 'retired'
  /** Whether it can be used for that here: ENCRYPTION_KEYS may not open it. */
  readonly usable: boolean
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** Since when it has signed. */
  readonly activatedAt: number | undefined
  readonly retiredAt: number | undefined
}

interface SigningKeyPair {
  readonly kid: string
  readonly algorithm: 'ES256'
  readonly privateKey: CryptoKey
}

export interface KeyRingOptions {
  readonly database: Pick<Database, 'run' | 'transaction' | 'follow'>
  readonly sealer: Sealer
  readonly log: Log
  readonly signingKeyLifetimeSeconds: number
  /** How often the keys are read where no notification came. */
  readonly pollingIntervalMs: number
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** The key ring of one replica. Each reading of the keys replaces all that requests see, at once. */
export function createKeyRing(options: KeyRingOptions): KeyRing {
  const { database, sealer, log, pollingIntervalMs, now = Date.now } = options
  const rotation = createKeyRotation({ ...options, now })
  let active: SigningKeyPair | undefined
  let publicKeys: ReadonlyMap<string, CryptoKey> = new Map()
  let jwks: { readonly keys: readonly JWK[] } = { keys: [] }
  let privateKeys: ReadonlyMap<string, CryptoKey> = new Map()
  let ages: KeyAges = { active: undefined, next: undefined, retired: [] }
  /** Keys that were complained of. */
  const complained = new Set<string>()
  let readings = 0
  let latest = 0

  async function load(): Promise<void> {
    const reading = ++readings
    let keys = await database.run(readKeyAges)
    if (rotation.isDue(keys)) {
      await database.transaction(rotation.maintain)
      keys = await database.run(readKeyAges)
    }
    const all = [keys.active, keys.next, ...keys.retired].filter((key) => key !== undefined)
    const imported = await each(all, importPublicKey)
    const opened = await each(
      [keys.active, keys.next].filter((key) => key !== undefined),
      async (key) => privateKeys.get(key.kid) ?? openPrivateKey(sealer, key),
      (key) => (key === keys.active ? wayOut : ''),
    )
    // An older reading that took longer, beside one that a rotation asked for.
    if (reading < latest) return
    latest = reading
    publicKeys = imported
    privateKeys = opened
    ages = keys
    jwks = { keys: all.filter(({ kid }) => imported.has(kid)).map(publishedKey) }
    activate(keys)
  }

  /** It has happened whether or not it can be read at once; the notification leads to the same. */
  const loadAfterChange = () =>
    load().catch((error) => log.warn({ reason: messageOf(error) }, 'signing keys not read'))

  function activate(keys: KeyAges): void {
    const { kid = '' } = keys.active ?? {}
    const privateKey = privateKeys.get(kid)
    if (privateKey !== undefined && kid !== active?.kid)
      log.info({ kid, keys: publicKeys.size }, `tokens are signed with key ${kid}`)
    active = privateKey && { kid, algorithm: 'ES256', privateKey }
  }

  /**
   * What `make` makes of each key, by kid; a key it fails for is left out and complained of, once.
   * @param advice what to do about it, if anything
   */
  async function each(
    keys: readonly SigningKey[],
    make: (key: SigningKey) => Promise<CryptoKey>,
    advice: (key: SigningKey) => string = () => '',
  ): Promise<Map<string, CryptoKey>> {
    const made = new Map<string, CryptoKey>()
    for (const key of keys) {
      try {
        made.set(key.kid, await make(key))
      } catch (error) {
        const reason = messageOf(error)
        const complaint = `signing key ${key.kid} cannot be used: ${reason}${advice(key)}`
        if (!complained.has(complaint)) log.error({ kid: key.kid, reason }, complaint)
        complained.add(complaint)
      }
    }
    return made
  }

  function viewKey({ kid, algorithm, createdAt, activatedAt, retiredAt }: SigningKey): KeyStatus {
    const state = retiredAt != null ? 'retired' : activatedAt != null ? 'active' : 'next'
    return {
      ...{ kid, algorithm, state },
      usable: (state === 'retired' ? publicKeys : privateKeys).has(kid),
      createdAt: createdAt.getTime(),
      activatedAt: activatedAt?.getTime(),
      retiredAt: retiredAt?.getTime(),
    }
  }

  return {
    active: () => active,
    find: (kid) => publicKeys.get(kid),
    jwks: () => jwks,
    status: () => ({
      keys: [ages.active, ages.next, ...ages.retired].flatMap((key) => (key ? [viewKey(key)] : [])),
      nextRotationAt: rotation.dueAt(ages),
    }),
    start: () => database.follow({ channel: signingKeysChannel, intervalMs: pollingIntervalMs, read: load }),

    async distrust(kid) {
      const outcome = await database.transaction((em) => rotation.distrust(em, kid))
      await loadAfterChange()
      return outcome
    },

    read: load,

    async rotate(options = {}) {
      const outcome = await database.transaction((em) => rotation.rotate(em, options))
      await loadAfterChange()
      if (typeof outcome !== 'string') throw new Error(tooEarly(outcome, now()))
      return outcome
    },

    rewrap: () => database.transaction((em) => rewrapKeys(em, sealer)),
  }
}

/** For the operator, where the key that should sign cannot be opened. */
const wayOut =
  '. No tokens are issued until the encryption key is restored in ENCRYPTION_KEYS, or, where it is lost for good, ' +
  'another signing key takes over: npm run munjigi -- keys rotate --replace-lost'

function tooEarly({ kid, publishedAt, knownAt }: TooEarly, now: number): string {
  const seconds = Math.ceil((knownAt.getTime() - now) / 1000)
  return (
    `the next key ${kid} was published at ${publishedAt.toISOString()}, and whoever keeps the JWKS may not know it ` +
    `before ${knownAt.toISOString()}, in ${seconds} s: rotate then, or with --now`
  )
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
