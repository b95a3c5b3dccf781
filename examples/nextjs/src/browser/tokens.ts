/** What /session answers: the gateway's own names. */
export interface TokenReply {
  readonly access_token: string
  readonly expires_in: number
  readonly scope: string
  /** Only where tokens are to be shown. */
  readonly refresh_token?: string
}

export interface AccessToken {
  readonly text: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** The access token of whoever is logged in, in memory only: a page that is closed leaves nothing behind. */
export interface Tokens {
  /** One that is good now; undefined where nobody is logged in. */
  good(): Promise<AccessToken | undefined>
  /** Another one than this, which was not taken. However many ask at once, the server is asked once. */
  otherThan(refused: AccessToken | undefined): Promise<AccessToken | undefined>
  /** Logs out, once what was asked before has been answered. False where the gateway could not be told of it. */
  end(): Promise<boolean>
}

/**
 * @param hear is told of each reply, and of `undefined` where nobody is logged in (any more)
 * @throws Error in words for people where the front end's server or the gateway is away
 */
export function createTokens(
  hear: (reply: TokenReply | undefined, token: AccessToken | undefined) => void,
): Tokens {
  let held: AccessToken | undefined
  let isNobody = false
  let asking: Promise<AccessToken | undefined> | undefined

  async function ask(): Promise<AccessToken | undefined> {
    const reply = await oneTabAtATime(() => fetch('/session', { method: 'POST' }))
    if (!reply.ok) throw new Error(await wordsOf(reply))
    const tokens = reply.status === 204 ? undefined : ((await reply.json()) as TokenReply)
    held = tokens && { text: tokens.access_token, expiresAt: Date.now() + tokens.expires_in * 1000 }
    isNobody = held === undefined
    hear(tokens, held)
    return held
  }

  function askOnce(): Promise<AccessToken | undefined> {
    asking ??= ask().finally(() => {
      asking = undefined
    })
    return asking
  }

  return {
    async good() {
      // A little ahead, so that it does not expire on its way.
      const isGood = held !== undefined && Date.now() < held.expiresAt - 10_000
      return isGood || isNobody ? held : askOnce()
    },
    otherThan: async (refused) => (held !== undefined && held !== refused ? held : askOnce()),
    async end() {
      await asking?.catch(() => undefined)
      held = undefined
      isNobody = true
      const end = () => fetch('/session', { method: 'DELETE' })
      const reply = await oneTabAtATime(end).catch(() => undefined)
      return reply?.ok === true
    },
  }
}

/**
 * A refresh token that is used twice ends its session. Two tabs have the same cookie: the second waits until the
 * first has its reply, and with it the next refresh token.
 */
async function oneTabAtATime(work: () => Promise<Response>): Promise<Response> {
  // Plain http from another machine has no locks: see README.md on REFRESH_GRACE.
  return navigator.locks === undefined ? work() : navigator.locks.request('session', work)
}

/** What a problem document (RFC 9457) says. */
export async function wordsOf(reply: Response): Promise<string> {
  const body: unknown = await reply.json().catch(() => undefined)
  const { detail, title } = (body ?? {}) as { detail?: string; title?: string }
  return detail ?? title ?? `The answer was status ${reply.status}.`
}
