import type { NextRequest } from 'next/server'
import { attemptCookie, sessionCookie } from '../../server/cookies.ts'
import { gateway } from '../../server/gateway.ts'
import { goTo } from '../../server/replies.ts'

/**
 * Where a login comes back to: its code becomes tokens, here and not in the browser. A code that comes without the
 * state of this very browser is somebody else's, and is not touched.
 */
export async function GET({ nextUrl: { searchParams } }: NextRequest) {
  const attempt = await attemptCookie.take()
  const code = searchParams.get('code')
  if (attempt === undefined || code === null || searchParams.get('state') !== attempt.state) {
    return goTo('/?problem=stranger')
  }
  try {
    const body = { code, code_verifier: attempt.verifier }
    const { data, response } = await gateway().POST('/oauth/login/complete', { body })
    if (data === undefined || !('refresh_token' in data)) {
      return goTo(response.status >= 500 ? '/?problem=gateway' : '/?problem=late')
    }
    await sessionCookie.write(data.refresh_token)
    return goTo('/')
  } catch {
    return goTo('/?problem=gateway')
  }
}
