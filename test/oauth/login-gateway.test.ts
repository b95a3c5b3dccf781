import test, { type ExecutionContext } from 'ava'
import { freshEmbedded } from '../support/database.ts'
import { type Dialects, startDialects } from '../support/dialects.ts'
import { browser, challengeOf, newVerifier, returnUrl } from '../support/login-server.ts'
import { type OAuthGateway, publicUrl, startOAuthGateway } from '../support/oauth-gateway.ts'
import { request } from '../support/request.ts'
import { shared } from '../support/token-server.ts'

const { host } = new URL(publicUrl)

/** One gateway, with providers that speak their dialects; tests that count calls take a provider each. */
const house = shared(async (t) => {
  const dialects = await startDialects(t)
  const gateway = await startOAuthGateway(t, await freshEmbedded(t), {
    ...dialects.env('google', 'kakao'),
    LOGIN_RETURN_URLS: returnUrl,
  })
  return { dialects, gateway }
})

const get = ({ url }: OAuthGateway, path: string, headers: Readonly<Record<string, string>> = {}) =>
  request(url + path, { headers: { host, ...browser, ...headers } })

interface Way {
  readonly cookie: string
  readonly authorization: URL
  /** Where the provider sends the browser back to. */
  readonly back: URL
  readonly verifier: string
}

async function onTheWay(
  { gateway, dialects }: { gateway: OAuthGateway; dialects: Dialects },
  provider: string,
): Promise<Way> {
  const verifier = newVerifier()
  const query = { return_to: returnUrl, state: 'of-the-front-end', code_challenge: challengeOf(verifier) }
  const reply = await get(gateway, `/oauth/${provider}/login?${new URLSearchParams(query)}`)
  const authorization = new URL(reply.headers.location!)
  const back = await dialects.sayYes(authorization)
  return { cookie: reply.headers['set-cookie']![0]!.split(';')[0]!, authorization, back, verifier }
}

const complete = (gateway: OAuthGateway, body: unknown) =>
  gateway.send('POST', '/oauth/login/complete', { body })

test.serial(
  'a login goes all the way, and ends with tokens and a connection that has one of the provider’s',
  async (t) => {
    const all = await house()
    const { gateway, dialects } = all
    const way = await onTheWay(all, 'google')
    t.true(way.back.href.startsWith(`${publicUrl}/oauth/google/callback?`))
    const reply = await get(gateway, way.back.pathname + way.back.search, { cookie: way.cookie })
    t.is(reply.status, 302)
    const to = new URL(reply.headers.location!)
    t.is(to.searchParams.get('state'), 'of-the-front-end')
    const { status, json } = await complete(gateway, {
      code: to.searchParams.get('code'),
      code_verifier: way.verifier,
    })
    t.is(status, 200)
    const { json: connection } = await gateway.send('GET', `/oauth/${json.connection_id}`, {
      headers: { authorization: `Bearer ${json.access_token}` },
    })
    t.true(dialects.issued.has(connection.access_token))
    t.is(dialects.calls['google.token'], 1)
  },
)

const wrong: Readonly<Record<string, (way: Way, other: Way) => { search: URLSearchParams; cookie: string }>> =
  {
    'another issuer’s answer': ({ back, cookie }) => {
      const search = new URLSearchParams(back.search)
      search.set('iss', 'https://evil.example')
      return { search, cookie }
    },
    'an altered state': ({ back, cookie }) => {
      const search = new URLSearchParams(back.search)
      search.set('state', search.get('state')!.split('').reverse().join(''))
      return { search, cookie }
    },
    'another browser’s state': ({ back }, { cookie }) => ({
      search: new URLSearchParams(back.search),
      cookie,
    }),
    'two codes': ({ back, cookie }) => {
      const search = new URLSearchParams(back.search)
      search.append('code', search.get('code')!)
      return { search, cookie }
    },
    access_denied: ({ back, cookie }) => {
      const state = back.searchParams.get('state')!
      return {
        search: new URLSearchParams({ error: 'access_denied', error_description: 'no no', state }),
        cookie,
      }
    },
  }

for (const provider of ['google', 'kakao']) {
  for (const [what, change] of Object.entries(wrong)) {
    test.serial(
      `${provider}: ${what} is a 400 with the way to begin anew, and its token endpoint is not asked`,
      async (t) => {
        const all = await house()
        const { gateway, dialects } = all
        const { search, cookie } = change(await onTheWay(all, provider), await onTheWay(all, provider))
        const before = dialects.calls[`${provider}.token`]
        const reply = await get(gateway, `/oauth/${provider}/callback?${search}`, { cookie })
        t.is(reply.status, 400, reply.body)
        t.regex(reply.headers['content-type']!, /^text\/html/)
        t.true(reply.body.includes(`href="${publicUrl}/oauth/${provider}/login`))
        t.false(reply.body.includes('no no') || reply.body.includes('evil.example'))
        t.is(dialects.calls[`${provider}.token`], before)
      },
    )
  }
}

test.serial('a used state is used up, and the token endpoint is not asked again', async (t) => {
  const all = await house()
  const { gateway, dialects } = all
  const { back, cookie } = await onTheWay(all, 'kakao')
  const path = back.pathname + back.search
  t.is((await get(gateway, path, { cookie })).status, 302)
  const before = dialects.calls['kakao.token']
  t.is((await get(gateway, path, { cookie })).status, 400)
  t.is(dialects.calls['kakao.token'], before)
})

const failures = {
  reset: [502, 'provider_unreachable'],
  html: [502, 'provider_bad_response'],
  truncated: [502, 'provider_bad_response'],
  redirect: [502, 'provider_bad_response'],
  'error-200': [502, 'provider_refused'],
  'no-token': [502, 'provider_bad_response'],
} as const

for (const [how, [status, code]] of Object.entries(failures)) {
  test.serial(`a token endpoint that answers with ${how} is a page, and nothing is kept`, async (t) => {
    const all = await house()
    const { gateway, dialects } = all
    const { back, cookie } = await onTheWay(all, 'kakao')
    const kept =
      'select (select count(*) from munjigi.login_codes)::int as codes, (select count(*) from munjigi.connections)::int as connections'
    const before = await gateway.sql(kept)
    dialects.misbehave('kakao.token', how as keyof typeof failures)
    const reply = await get(gateway, back.pathname + back.search, { cookie })
    dialects.misbehave('kakao.token', undefined)
    t.is(reply.status, status)
    t.regex(reply.body, /Try again/)
    t.is(gateway.access.at(-1)!.errorCode, code)
    t.deepEqual(await gateway.sql(kept), before)
    await leaksNothing(t, all, [cookie.split('=')[1]!, ...back.searchParams.values()], reply.body)
  })
}

test.serial('neither log nor page tells a state, code, verifier, nonce, cookie or token', async (t) => {
  const all = await house()
  const { gateway } = all
  const secrets: string[] = []
  const bodies: string[] = []
  for (const provider of ['google', 'kakao']) {
    for (const change of [
      ({ back, cookie }: Way) => ({ search: back.searchParams, cookie }),
      ...Object.values(wrong),
    ]) {
      const [way, other] = [await onTheWay(all, provider), await onTheWay(all, provider)]
      const { search, cookie } = change(way, other)
      const reply = await get(gateway, `/oauth/${provider}/callback?${search}`, { cookie })
      bodies.push(reply.body)
      for (const { back, authorization, verifier, cookie } of [way, other]) {
        const named = ['state', 'nonce', 'code_challenge'].map(
          (name) => authorization.searchParams.get(name) ?? '',
        )
        secrets.push(...named, back.searchParams.get('code')!, verifier, cookie.split('=')[1]!)
      }
      if (reply.status !== 302) continue
      const code = new URL(reply.headers.location!).searchParams.get('code')!
      const wrongVerifier = newVerifier()
      bodies.push((await complete(gateway, { code, code_verifier: wrongVerifier })).text)
      bodies.push((await complete(gateway, { code, code_verifier: 'no verifier', connect: true })).text)
      secrets.push(code, wrongVerifier)
    }
  }
  await leaksNothing(t, all, secrets, bodies.join('\n'))
})

async function leaksNothing(
  t: ExecutionContext,
  { gateway, dialects }: { gateway: OAuthGateway; dialects: Dialects },
  secrets: readonly string[],
  shown: string,
) {
  const logged = JSON.stringify([gateway.lines, gateway.access])
  const all = [...secrets, ...dialects.issued, ...dialects.secrets].filter((one) => one.length > 8)
  t.true(all.length > 5)
  for (const secret of all) {
    t.false(logged.includes(secret), 'in the log')
    t.false(shown.includes(secret), 'in a page')
  }
}
