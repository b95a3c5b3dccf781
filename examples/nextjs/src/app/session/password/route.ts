import { sessionCookie } from '../../../server/cookies.ts'
import { gateway } from '../../../server/gateway.ts'
import { isOwnPage, nothing, notOurs, problem } from '../../../server/replies.ts'

/** Logs in with e-mail and password, at the auth service behind the gateway. */
export async function POST(request: Request) {
  if (!isOwnPage(request)) return notOurs()
  const { email, password } = await readForm(request)
  try {
    const { data, error, response } = await gateway().POST('/api/user/login', { body: { email, password } })
    if (data?.refresh_token === undefined) {
      return problem(response.status, error?.detail ?? error?.title ?? 'The login did not work.')
    }
    await sessionCookie.write(data.refresh_token)
    return nothing()
  } catch {
    return problem(502, 'The gateway did not answer.')
  }
}

/** What is no text is left empty, and refused by the service. */
async function readForm(request: Request): Promise<{ readonly email: string; readonly password: string }> {
  const body: unknown = await request.json().catch(() => undefined)
  const { email = '', password = '' } = (body ?? {}) as Partial<Record<'email' | 'password', unknown>>
  return { email: String(email), password: String(password) }
}
