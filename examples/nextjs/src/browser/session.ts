import { createGateway, type Gateway } from './gateway.ts'
import { createTokens, type TokenReply, wordsOf } from './tokens.ts'

export interface SessionState {
  /** Unknown until the server has been asked whether somebody is logged in. */
  readonly who: 'unknown' | 'nobody' | 'somebody'
  /** When the access token expires, in milliseconds since 1970. */
  readonly expiresAt?: number
  readonly problem?: string | undefined
}

/** Who is logged in, for React's useSyncExternalStore, and the gateway in that person's name. */
export interface Session {
  readonly gateway: Gateway
  subscribe(listener: () => void): () => void
  state(): SessionState
  /** Finds out whether somebody is logged in. */
  begin(): Promise<void>
  /** Throws what it came to grief over, in words for people. */
  logIn(email: string, password: string): Promise<void>
  renew(): Promise<void>
  logOut(): Promise<void>
}

export interface SessionOptions {
  readonly gatewayUrl: string
  /** Prints both tokens on the console. */
  readonly showTokens: boolean
  /** What a login that has just come back came to grief over. */
  readonly problem: string | undefined
}

export function createSession({ gatewayUrl, showTokens, problem }: SessionOptions): Session {
  let state: SessionState = { who: 'unknown', problem }
  const listeners = new Set<() => void>()
  const tokens = createTokens((reply, token) => {
    if (showTokens && reply !== undefined) print(reply)
    if (token !== undefined) become({ who: 'somebody', expiresAt: token.expiresAt })
    else if (state.who === 'somebody') become({ who: 'nobody', problem: 'You have been logged out.' })
    else become({ who: 'nobody' })
  })

  function become(next: SessionState): void {
    state = { problem: state.problem, ...next }
    for (const listener of listeners) listener()
  }

  async function attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const who = state.who === 'unknown' ? 'nobody' : state.who
      become({ ...state, who, problem: (error as Error).message })
    }
  }

  return {
    gateway: createGateway(gatewayUrl, tokens),
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    state: () => state,
    begin: () => attempt(() => tokens.good()),
    async logIn(email, password) {
      const reply = await fetch('/session/password', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ email, password }),
      })
      if (!reply.ok) throw new Error(await wordsOf(reply))
      state = { who: 'unknown' }
      await attempt(() => tokens.otherThan(undefined))
    },
    renew: () =>
      attempt(async () => {
        await tokens.otherThan(await tokens.good())
        become({ ...state, problem: undefined })
      }),
    async logOut() {
      const told = await tokens.end()
      become({
        who: 'nobody',
        problem: told ? undefined : 'You are logged out here, but the gateway could not be told of it.',
      })
    },
  }
}

function print({ access_token: accessToken, refresh_token: refreshToken }: TokenReply): void {
  console.log('access_token:', accessToken)
  console.log('refresh_token:', refreshToken)
}
