import { useCallback, useEffect, useRef, useState } from 'react'
import { Reply, type ReplyState } from './reply.tsx'
import type { Session } from './session.ts'

interface LoggedInProps {
  readonly session: Session
  readonly expiresAt: number | undefined
  readonly showTokens: boolean
}

export function LoggedIn({ session, expiresAt, showTokens }: LoggedInProps) {
  const [users, setUsers] = useState<ReplyState>()
  const [me, setMe] = useState<ReplyState>()
  const [busy, setBusy] = useState(false)
  const heading = useRef<HTMLHeadingElement>(null)

  const ask = useCallback(async () => {
    setBusy(true)
    await Promise.all([
      show(session.gateway.GET('/api/users'), setUsers),
      show(session.gateway.GET('/api/user/me'), setMe),
    ])
    setBusy(false)
  }, [session])

  useEffect(() => {
    heading.current?.focus({ preventScroll: true })
    void ask()
  }, [ask])

  return (
    <>
      <h1 tabIndex={-1} ref={heading}>
        You are in.
      </h1>
      <p className="lead">What the services behind the gateway answer to your access token:</p>
      <div className="replies" aria-live="polite">
        <Reply request="GET /api/users" reply={users} />
        <Reply request="GET /api/user/me" reply={me} />
      </div>
      <p className="actions">
        <button type="button" onClick={ask} disabled={busy}>
          Ask again
        </button>
        <button type="button" className="quiet" onClick={() => session.renew()}>
          New access token
        </button>
        <button type="button" className="quiet" onClick={() => session.logOut()}>
          Log out
        </button>
      </p>
      <p className="hint note">
        {showTokens ? (
          <>
            <b>Both tokens are on this page’s console:</b> press <kbd>F12</kbd>, or <kbd>⌥</kbd> <kbd>⌘</kbd>{' '}
            <kbd>I</kbd> on a Mac. That is for trying things out on one machine: whoever sees the refresh
            token can be you.
          </>
        ) : (
          'No token is shown here. The refresh token stays with the server of this front end.'
        )}
      </p>
      {expiresAt !== undefined && (
        <p className="hint">
          The access token is good until{' '}
          <time dateTime={new Date(expiresAt).toISOString()}>{new Date(expiresAt).toLocaleTimeString()}</time>
          . After that the next request fetches another one.
        </p>
      )}
    </>
  )
}

interface Answer {
  readonly data?: unknown
  readonly error?: unknown
  readonly response: Response
}

async function show(asked: Promise<Answer>, set: (reply: ReplyState) => void): Promise<void> {
  try {
    const { data, error, response } = await asked
    set({ status: response.status, body: data ?? error })
  } catch {
    set({ status: undefined, body: 'The gateway did not answer.' })
  }
}
