import { type SubmitEvent, useState } from 'react'
import type { Session } from './session.ts'

export interface Provider {
  readonly name: string
  readonly title: string
}

interface LogInProps {
  readonly session: Session
  readonly providers: readonly Provider[] | undefined
}

export function LogIn({ session, providers }: LogInProps) {
  return (
    <>
      <h1>Who is there?</h1>
      <p className="lead">
        This page is on another host than the gateway. Whoever logs in here does it through the gateway, and
        gets a token that opens the services behind it.
      </p>
      <div className="columns">
        <section aria-labelledby="accounts">
          <h2 id="accounts">With an account that you have</h2>
          <Providers providers={providers} />
        </section>
        <section aria-labelledby="password">
          <h2 id="password">With e-mail and password</h2>
          <PasswordForm session={session} />
        </section>
      </div>
    </>
  )
}

function Providers({ providers }: Pick<LogInProps, 'providers'>) {
  if (providers === undefined) return <p className="empty">The gateway does not answer. Is it running?</p>
  if (providers.length === 0) return <p className="empty">The gateway has no provider to log in with.</p>
  return (
    <ul className="providers">
      {providers.map(({ name, title }) => (
        <li key={name}>
          {/* Not next/link, which would fetch it beforehand: it begins a login. */}
          <a className="provider" data-provider={name} href={`/login/${name}`}>
            <span className="initial" aria-hidden="true">
              {title.charAt(0).toUpperCase()}
            </span>
            Log in with {providerName(name, title)}
          </a>
        </li>
      ))}
    </ul>
  )
}

/** In the middle of a sentence. */
const providerName = (name: string, title: string) => (name === 'demo' ? 'the demo provider' : title)

/** Logs in; or signs up first, which asks the auth service from here, through the gateway. */
function PasswordForm({ session }: Pick<LogInProps, 'session'>) {
  const [said, setSaid] = useState<string>()
  const [busy, setBusy] = useState(false)

  async function submit(event: SubmitEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const [email, password] = [String(form.get('email')), String(form.get('password'))]
    const isNew = event.nativeEvent.submitter?.getAttribute('value') === 'signup'
    setBusy(true)
    setSaid(undefined)
    try {
      if (isNew) {
        const { error } = await session.gateway.POST('/api/user/signup', { body: { email, password } })
        if (error !== undefined) throw new Error(faultsOf(error))
      }
      await session.logIn(email, password)
    } catch (error) {
      setSaid((error as Error).message)
      setBusy(false)
    }
  }

  return (
    <form onSubmit={submit}>
      <label>
        E-mail
        <input name="email" type="email" autoComplete="email" required maxLength={254} />
      </label>
      <label>
        Password
        <input
          name="password"
          type="password"
          autoComplete="current-password"
          required
          minLength={8}
          maxLength={200}
          aria-describedby="password-hint"
        />
      </label>
      <p className="hint" id="password-hint">
        At least 8 characters.
      </p>
      <p className="actions">
        <button type="submit" value="login" disabled={busy}>
          Log in
        </button>
        <button type="submit" value="signup" className="quiet" disabled={busy}>
          Sign up
        </button>
      </p>
      <p className="said" role="alert">
        {said}
      </p>
    </form>
  )
}

interface SignupProblem {
  readonly title: string
  readonly detail?: string
  readonly errors?: readonly { readonly detail: string }[]
}

const faultsOf = ({ errors, detail, title }: SignupProblem) =>
  errors?.map((fault) => fault.detail).join('; ') ?? detail ?? title
