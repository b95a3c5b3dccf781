import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { createGate } from './concurrency.ts'
import { Problem } from './problem.ts'

/** How dear a guess is made (RFC 9106 §3.1). */
interface HashingCost {
  /** KiB */
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
}

export interface PasswordsOptions {
  readonly cost?: HashingCost
  /** How many are hashed at once: each takes a thread of the process's pool, and `memory`. */
  readonly width?: number
  /** How many may wait for that. */
  readonly queue?: number
}

interface Verdict {
  readonly matches: boolean
  /** It was hashed at another cost than is asked for today. */
  readonly outdated: boolean
}

/** Passwords are hashed with argon2id by Node itself, off the main thread, and kept as PHC strings. */
export interface Passwords {
  /** @throws Problem `busy` (503, Retry-After) where too many wait */
  hash(password: string): Promise<string>
  /**
   * Takes as long for `undefined`, the hash of a user that does not exist: the reply's time tells nobody who is
   * one.
   * @throws Problem `busy` (503, Retry-After) where too many wait
   */
  verify(password: string, hash: string | undefined): Promise<Verdict>
}

/** OWASP Password Storage Cheat Sheet, argon2id. */
const recommendedCost: HashingCost = { memory: 19_456, passes: 2, parallelism: 1 }
const saltLength = 16
const tagLength = 32

const derive = promisify(argon2)

export function createPasswords(options: PasswordsOptions = {}): Passwords {
  const { cost = recommendedCost, width = 2, queue = 32 } = options
  const gate = createGate(width, queue)
  const nobody: Phc = { ...cost, salt: randomBytes(saltLength), tag: randomBytes(tagLength) }

  async function tagOf(password: string, { memory, passes, parallelism, salt, tag }: Phc): Promise<Buffer> {
    const work = gate(() =>
      derive('argon2id', {
        message: password,
        nonce: salt,
        memory,
        passes,
        parallelism,
        tagLength: tag.length,
      }),
    )
    if (work !== undefined) return Buffer.from(await work)
    const detail = 'Too many passwords are being checked.'
    throw new Problem(503, 'busy', { detail, headers: { 'Retry-After': '1' } })
  }

  return {
    async hash(password) {
      const blank = { ...cost, salt: randomBytes(saltLength), tag: Buffer.alloc(tagLength) }
      return format({ ...blank, tag: await tagOf(password, blank) })
    },
    async verify(password, hash) {
      const known = hash === undefined ? nobody : parse(hash)
      const same = timingSafeEqual(await tagOf(password, known), known.tag)
      const outdated =
        known.memory !== cost.memory || known.passes !== cost.passes || known.parallelism !== cost.parallelism
      return { matches: same && known !== nobody, outdated }
    },
  }
}

interface Phc extends HashingCost {
  readonly salt: Buffer
  readonly tag: Buffer
}

/** PHC string format: `$argon2id$v=19$m=19456,t=2,p=1$salt$tag`, base64 without padding. */
function format({ memory, passes, parallelism, salt, tag }: Phc): string {
  const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(tag)}`
}

function parse(text: string): Phc {
  const [, memory, passes, parallelism, salt, tag] =
    /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/.exec(
      text,
    ) ?? []
  if (salt === undefined || tag === undefined)
    throw new Error('a stored password hash is not one of argon2id')
  return {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  }
}
