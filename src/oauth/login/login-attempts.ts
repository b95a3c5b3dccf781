import type { Database } from '../../persistence/database.ts'
import type { Sealer } from '../../persistence/sealer.ts'
import { hashOf, isRandomTokenShaped, randomToken } from '../../tokens/secrets.ts'
import { attemptSeconds } from './login-cookie.ts'

/** Where a login ends, as the front end that began it wants it. */
export interface LoginReturn {
  readonly returnTo: string
  /** The front end's own, given back with the code. */
  readonly returnState: string | undefined
  /** The front end's own (RFC 7636, S256): who has the verifier may have the tokens. */
  readonly codeChallenge: string | undefined
  /** Of a login that was begun at `/oauth/authorize`, whose code is for `/oauth/token` and nowhere else. */
  readonly client?: AskingClient | undefined
}

/** Who asked for an authorization code (RFC 6749 §4.1.1), and what it will be worth. */
export interface AskingClient {
  readonly id: string
  /** Granted, where the provider says yes. */
  readonly scope: string
}

/** What only the provider and the gateway may know. */
export interface LoginSecrets {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
}

/** Logins that are under way. */
export interface LoginAttempts {
  begin(attempt: NewAttempt): Promise<void>
  /**
   * Finds an attempt and deletes it in one statement: of two who come with the same state one finds it. Another
   * browser's or provider's finds nothing, and takes nothing away.
   */
  take(wanted: {
    readonly state: string
    readonly browserHash: string
    readonly provider: string
  }): Promise<(LoginReturn & Omit<LoginSecrets, 'state'>) | undefined>
}

interface NewAttempt extends LoginReturn {
  readonly secrets: LoginSecrets
  /** SHA-256 of the browser's cookie in base64url. */
  readonly browserHash: string
  readonly provider: string
}

/** 256 random bits each; the verifier is one by RFC 7636 §4.1. */
export const newSecrets = (): LoginSecrets => ({
  state: randomToken(),
  nonce: randomToken(),
  codeVerifier: randomToken(),
})

interface Row {
  readonly sealedSecrets: string
  readonly returnTo: string
  readonly returnState: string | null
  readonly codeChallenge: string | null
}

export interface LoginAttemptsOptions {
  readonly database: Pick<Database, 'run'>
  readonly sealer: Pick<Sealer, 'seal' | 'open'>
}

const placeOf = (stateHash: string) => `login_attempts.secrets:${stateHash}`

/** Times are the database's, which every replica shares. */
export function createLoginAttempts({ database, sealer }: LoginAttemptsOptions): LoginAttempts {
  return {
    async begin({ secrets, browserHash, provider, returnTo, returnState, codeChallenge, client }) {
      const { state, ...rest } = secrets
      const stateHash = hashOf(state)
      const sealed = await sealer.seal(JSON.stringify({ ...rest, client }), placeOf(stateHash))
      await database.run((em) =>
        em.execute(
          `insert into munjigi.login_attempts
            (state_hash, browser_hash, provider, sealed_secrets, return_to, return_state, code_challenge, expires_at)
          values (?, ?, ?, ?, ?, ?, ?, now() + make_interval(secs => ?))`,
          [
            ...[stateHash, browserHash, provider, sealed],
            ...[returnTo, returnState ?? null, codeChallenge ?? null, attemptSeconds],
          ],
        ),
      )
    },

    async take({ state, browserHash, provider }) {
      if (!isRandomTokenShaped(state)) return undefined
      const stateHash = hashOf(state)
      const [row] = await database.run((em) =>
        em.execute<Row[]>(
          `delete from munjigi.login_attempts
          where state_hash = ? and browser_hash = ? and provider = ? and expires_at > now()
          returning sealed_secrets as "sealedSecrets", return_to as "returnTo",
            return_state as "returnState", code_challenge as "codeChallenge"`,
          [stateHash, browserHash, provider],
        ),
      )
      if (row === undefined) return undefined
      const { nonce, codeVerifier, client } = JSON.parse(
        await sealer.open(row.sealedSecrets, placeOf(stateHash)),
      ) as Omit<LoginSecrets, 'state'> & Pick<LoginReturn, 'client'>
      return {
        ...{ nonce, codeVerifier, client, returnTo: row.returnTo },
        returnState: row.returnState ?? undefined,
        codeChallenge: row.codeChallenge ?? undefined,
      }
    },
  }
}
