import { attemptCookie } from '../../../server/cookies.ts'
import { challengeOf, randomText } from '../../../server/random.ts'
import { goTo } from '../../../server/replies.ts'
import { readSettings } from '../../../server/settings.ts'

/** Sends the browser through the gateway to a provider, from where it comes back to /logged-in. */
export async function GET(_request: Request, { params }: RouteContext<'/login/[provider]'>) {
  const { provider } = await params
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(provider)) return goTo('/?problem=provider')
  const { gatewayUrl, frontEndUrl } = readSettings()
  const attempt = { state: randomText(), verifier: randomText() }
  await attemptCookie.write(attempt)
  const url = new URL(`/oauth/${provider}/login`, gatewayUrl)
  url.searchParams.set('return_to', `${frontEndUrl}/logged-in`)
  url.searchParams.set('state', attempt.state)
  url.searchParams.set('code_challenge', challengeOf(attempt.verifier))
  url.searchParams.set('code_challenge_method', 'S256')
  return new Response(null, { status: 302, headers: { Location: url.href, 'Cache-Control': 'no-store' } })
}
