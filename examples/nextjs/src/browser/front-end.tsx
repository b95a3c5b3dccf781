'use client'

import { useEffect, useState, useSyncExternalStore } from 'react'
import { LogIn, type Provider } from './log-in.tsx'
import { LoggedIn } from './logged-in.tsx'
import { createSession, type SessionOptions } from './session.ts'

export interface FrontEndProps extends SessionOptions {
  /** Undefined where the gateway does not answer. */
  readonly providers: readonly Provider[] | undefined
}

/** One page: whoever is logged in sees what the services say; everybody else sees how to log in. */
export function FrontEnd({ providers, ...options }: FrontEndProps) {
  const [session] = useState(() => createSession(options))
  const { who, expiresAt, problem } = useSyncExternalStore(session.subscribe, session.state, session.state)

  useEffect(() => {
    // What went wrong is said once: not again when the page is loaded anew.
    if (location.search !== '') history.replaceState(history.state, '', '/')
    void session.begin()
  }, [session])

  return (
    <main aria-busy={who === 'unknown'}>
      <p className="name">
        Front end <span>through munjigi at {options.gatewayUrl}</span>
      </p>
      {problem !== undefined && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {who === 'unknown' && <h1>One moment…</h1>}
      {who === 'nobody' && <LogIn session={session} providers={providers} />}
      {who === 'somebody' && (
        <LoggedIn session={session} expiresAt={expiresAt} showTokens={options.showTokens} />
      )}
    </main>
  )
}
