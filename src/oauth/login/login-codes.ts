import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Database } from '../../persistence/database.ts'
import type { Sealer } from '../../persistence/sealer.ts'
import { hashOf, isRandomTokenShaped, randomToken } from '../../tokens/secrets.ts'
import type { Grant } from '../provider.ts'
import type { AskingClient } from './login-attempts.ts'

/** What a login waits with for the front end to come and get its tokens. */
export interface PendingLogin {
  readonly provider: string
  readonly grant: Grant
  /** The front end's (RFC 7636, S256). */
  readonly codeChallenge: string | undefined
  /** SHA-256 of the cookie of the browser that began it. */
  readonly browserHash: string
  /** To whom the code is given, and where it was sent (RFC 6749 §4.1.3); undefined for `/oauth/login/complete`. */
  readonly client?: CodeClient | undefined
}

interface CodeClient extends AskingClient {
  readonly redirectUri: string
}

/** One-time codes: a front end's address may hold one, tokens never. */
export interface LoginCodes {
  /** Keeps what was granted, for a minute. Returns the code: 256 random bits, of which only the hash is kept. */
  keep(login: PendingLogin): Promise<string>
  /** Finds and deletes in one statement, in the caller's transaction: of two who come with the same code one finds it. */
  take(em: SqlEntityManager, code: string): Promise<PendingLogin | undefined>
}

export interface LoginCodesOptions {
  readonly database: Pick<Database, 'run'>
  readonly sealer: Pick<Sealer, 'seal' | 'open'>
}

/** RFC 6749 §4.1.2 allows ten minutes at the most; a front end that is there needs seconds. */
const codeSeconds = 60

const placeOf = (hash: string) => `login_codes.grant:${hash}`

interface Row {
  readonly provider: string
  readonly sealedGrant: string
  readonly codeChallenge: string | null
  readonly browserHash: string
}

/** Times are the database's, which every replica shares. */
export function createLoginCodes({ database, sealer }: LoginCodesOptions): LoginCodes {
  return {
    async keep({ provider, grant, codeChallenge, browserHash, client }) {
      const code = randomToken()
      const hash = hashOf(code)
      const sealed = await sealer.seal(JSON.stringify({ ...grant, client }), placeOf(hash))
      await database.run((em) =>
        em.execute(
          `insert into munjigi.login_codes
            (hash, provider, sealed_grant, code_challenge, browser_hash, expires_at)
          values (?, ?, ?, ?, ?, now() + make_interval(secs => ?))`,
          [hash, provider, sealed, codeChallenge ?? null, browserHash, codeSeconds],
        ),
      )
      return code
    },

    async take(em, code) {
      if (!isRandomTokenShaped(code)) return undefined
      const hash = hashOf(code)
      const [row] = await em.execute<Row[]>(
        `delete from munjigi.login_codes where hash = ? and expires_at > now()
        returning provider, sealed_grant as "sealedGrant", code_challenge as "codeChallenge",
          browser_hash as "browserHash"`,
        [hash],
      )
      if (row === undefined) return undefined
      const { provider, sealedGrant, codeChallenge, browserHash } = row
      const { client, ...grant } = JSON.parse(await sealer.open(sealedGrant, placeOf(hash))) as Grant &
        Pick<PendingLogin, 'client'>
      return { provider, grant, browserHash, client, codeChallenge: codeChallenge ?? undefined }
    },
  }
}
