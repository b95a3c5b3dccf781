import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Sealer } from '../persistence/sealer.ts'
import { type SigningKey, SigningKeyEntity } from './entities.ts'
import { longestAccessTokenLifetimeSeconds } from './lifetimes.ts'
import { generateSigningKey, openPrivateKey } from './signing-key.ts'

/**
 * For how long others may keep a JWKS they have fetched: its `max-age`, and jose's own default. A key is published
 * this long before it signs, and stays this long after the last token it signed has expired.
 */
export const jwksMaxAgeSeconds = 600

const retirementMs = (longestAccessTokenLifetimeSeconds + jwksMaxAgeSeconds) * 1000

/** The channel that says that signing keys have changed. */
export const signingKeysChannel = 'munjigi_signing_keys'

/** The stored keys by age. */
export interface KeyAges {
  readonly active: SigningKey | undefined
  readonly next: SigningKey | undefined
  readonly retired: readonly SigningKey[]
}

export interface KeyRotationOptions {
  readonly sealer: Sealer
  readonly signingKeyLifetimeSeconds: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** The next key was published so lately that others may not know it yet. */
export interface TooEarly {
  readonly kid: string
  readonly publishedAt: Date
  readonly knownAt: Date
}

export interface KeyRotation {
  /** Whether anything is to be done: asked of what was just read, without a lock. */
  isDue(keys: KeyAges): boolean
  /** When the next key is to sign, in milliseconds since the epoch; undefined where there is none or nothing signs. */
  dueAt(keys: KeyAges): number | undefined
  /** Does what is due; to be called in a transaction. */
  maintain(em: SqlEntityManager): Promise<void>
  /**
   * Puts the next key in the active one's place, in a transaction.
   * @returns the kid that signs from now on, or why not
   * @throws Error of the sealer's where the next key cannot be opened
   */
  rotate(em: SqlEntityManager, options: RotateOptions): Promise<string | TooEarly>
  /**
   * Deletes keys that somebody else may have: what they signed is worth nothing from then on. In a transaction.
   * @param kid one; all of them, the next one too, where it is left out
   * @returns the kid that signs from now on, and those that are gone
   * @throws Error where there is no such key; the sealer's where the next key has to sign and cannot be opened
   */
  distrust(em: SqlEntityManager, kid?: string): Promise<Distrusted>
}

export interface Distrusted {
  readonly active: string
  readonly gone: readonly string[]
}

export interface RotateOptions {
  /** Also where the next key was published so lately that others may not know it. */
  readonly now?: boolean
  /**
   * Also where the next key cannot be opened: a new one takes its place at once. It is how a gateway whose
   * ENCRYPTION_KEYS are lost comes to sign again, and breaks one whose keys only this process does not have.
   */
  readonly replaceLost?: boolean
}

/**
 * next → active → retired → gone. Replicas take turns under a lock and look again once they have it, so however many
 * find the same thing due, one does it.
 *
 * The times are each replica's own clock's: clocks are a minute apart at the most, `jwksMaxAgeSeconds` is ten.
 */
export function createKeyRotation(options: KeyRotationOptions): KeyRotation {
  const { sealer, now } = options
  const lifetimeMs = options.signingKeyLifetimeSeconds * 1000

  const knownAt = (next: SigningKey) => next.createdAt.getTime() + jwksMaxAgeSeconds * 1000

  const hasServed = ({ active, next }: KeyAges) =>
    active?.activatedAt != null &&
    now() - active.activatedAt.getTime() >= lifetimeMs &&
    next !== undefined &&
    now() >= knownAt(next)

  const outlived = ({ retired }: KeyAges) =>
    retired.filter(({ retiredAt }) => retiredAt != null && now() - retiredAt.getTime() > retirementMs)

  const opens = (key: SigningKey) =>
    openPrivateKey(sealer, key).then(
      () => true,
      () => false,
    )

  async function add(em: SqlEntityManager, activatedAt: Date | null): Promise<SigningKey> {
    const key = { ...(await generateSigningKey(sealer, new Date(now()))), activatedAt }
    await em.insert(SigningKeyEntity, key)
    return key
  }

  async function promote(em: SqlEntityManager, { active, next }: KeyAges): Promise<string> {
    const at = new Date(now())
    // In this order: no two are active at any moment, which an index sees to.
    if (active !== undefined) await em.nativeUpdate(SigningKeyEntity, { kid: active.kid }, { retiredAt: at })
    const kid = next?.kid ?? (await add(em, at)).kid
    if (next !== undefined) await em.nativeUpdate(SigningKeyEntity, { kid }, { activatedAt: at })
    await add(em, null)
    return kid
  }

  return {
    isDue: (keys) =>
      keys.active === undefined || keys.next === undefined || hasServed(keys) || outlived(keys).length > 0,

    dueAt: ({ active, next }) =>
      active?.activatedAt == null || next === undefined
        ? undefined
        : Math.max(active.activatedAt.getTime() + lifetimeMs, knownAt(next)),

    async maintain(em) {
      await lock(em)
      const keys = await readKeyAges(em)
      // A replica without the right ENCRYPTION_KEYS leaves the keys alone; others know them.
      const promoting = keys.active === undefined || (hasServed(keys) && (await opens(keys.next!)))
      const finished = outlived(keys)
      if (promoting) await promote(em, keys)
      else if (keys.next === undefined) await add(em, null)
      for (const { kid } of finished) await em.nativeDelete(SigningKeyEntity, { kid })
      if (promoting || keys.next === undefined || finished.length > 0) await notify(em)
    },

    async rotate(em, { now: immediately = false, replaceLost = false }) {
      await lock(em)
      let { active, next } = await readKeyAges(em)
      if (next !== undefined && replaceLost && !(await opens(next))) {
        await em.nativeDelete(SigningKeyEntity, { kid: next.kid })
        next = undefined
      }
      if (next !== undefined) await openPrivateKey(sealer, next)
      next ??= await add(em, null)
      await notify(em)
      if (active !== undefined && !immediately && !replaceLost && now() < knownAt(next)) {
        return { kid: next.kid, publishedAt: next.createdAt, knownAt: new Date(knownAt(next)) }
      }
      return promote(em, { active, next, retired: [] })
    },

    async distrust(em, kid) {
      await lock(em)
      const { active, next, retired } = await readKeyAges(em)
      const isGone = (key: SigningKey) => kid === undefined || key.kid === kid
      const all = [active, next, ...retired].filter((key) => key !== undefined)
      const gone = all.filter(isGone).map((key) => key.kid)
      if (kid !== undefined && gone.length === 0) throw new Error(`there is no signing key ${kid}`)
      for (const one of gone) await em.nativeDelete(SigningKeyEntity, { kid: one })
      await notify(em)
      const left = next === undefined || isGone(next) ? undefined : next
      if (active !== undefined && !isGone(active)) {
        if (left === undefined) await add(em, null)
        return { active: active.kid, gone }
      }
      if (left !== undefined) await openPrivateKey(sealer, left)
      return { active: await promote(em, { active: undefined, next: left, retired: [] }), gone }
    },
  }
}

/** All keys there are; a handful. */
export async function readKeyAges(em: SqlEntityManager): Promise<KeyAges> {
  const keys = await em.find(
    SigningKeyEntity,
    {},
    { orderBy: { createdAt: 'asc' }, disableIdentityMap: true },
  )
  return {
    active: keys.find(({ activatedAt, retiredAt }) => activatedAt != null && retiredAt == null),
    next: keys.find(({ activatedAt, retiredAt }) => activatedAt == null && retiredAt == null),
    retired: keys.filter(({ retiredAt }) => retiredAt != null),
  }
}

/** Held until the transaction ends. */
export async function lock(em: SqlEntityManager): Promise<void> {
  await em.execute(`select pg_advisory_xact_lock(hashtextextended('munjigi.signing_keys', 0))`)
}

export async function notify(em: SqlEntityManager): Promise<void> {
  await em.execute(`select pg_notify('${signingKeysChannel}', '')`)
}
