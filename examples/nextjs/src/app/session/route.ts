import { sessionCookie } from '../../server/cookies.ts'
import { gateway } from '../../server/gateway.ts'
import { isOwnPage, json, nothing, notOurs, problem } from '../../server/replies.ts'
import { readSettings } from '../../server/settings.ts'

const away = () => problem(502, 'The gateway did not answer.')

/** The next access token of whoever is logged in; 204 for nobody. The refresh token stays here. */
export async function POST(request: Request) {
  if (!isOwnPage(request)) return notOurs()
  const refreshToken = await sessionCookie.read()
  if (refreshToken === undefined) return nothing()
  try {
    const { data, response } = await gateway().POST('/tokens/refresh', {
      body: { refresh_token: refreshToken },
    })
    if (data !== undefined) {
      await sessionCookie.write(data.refresh_token)
      const { refresh_token: shown, ...rest } = data
      return json(readSettings().showTokens ? { ...rest, refresh_token: shown } : rest)
    }
    // invalid_grant: the session is over. Anything else may be better in a moment.
    if (response.status !== 400) return away()
    await sessionCookie.remove()
    return nothing()
  } catch {
    return away()
  }
}

/** Logs out: the gateway ends the session, and with it every access token that it gave out for it. */
export async function DELETE(request: Request) {
  if (!isOwnPage(request)) return notOurs()
  const token = await sessionCookie.read()
  await sessionCookie.remove()
  if (token === undefined) return nothing()
  try {
    const { response } = await gateway().POST('/tokens/revoke', { body: { token } })
    return response.ok ? nothing() : away()
  } catch {
    return away()
  }
}
