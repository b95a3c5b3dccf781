import test from 'ava'
import { providerListSchema } from '../../src/oauth/schemas.ts'
import { freshEmbedded } from '../support/database.ts'
import { publicUrl, startOAuthGateway } from '../support/oauth-gateway.ts'
import { shared } from '../support/token-server.ts'

const world = shared(async (t) =>
  startOAuthGateway(t, await freshEmbedded(t), {
    ROUTE_PREFIX: '/e',
    KAKAO_CLIENT_ID: 'kakao-client',
    KAKAO_CLIENT_SECRET: 'kakao-secret',
  }),
)

test('anybody sees where logins begin, and what the other providers lack', async (t) => {
  const { send } = await world()
  const { status, headers, json, text } = await send('GET', '/e/oauth/providers')
  t.is(status, 200)
  t.is(headers.get('cache-control'), 'no-store')
  providerListSchema.strict().parse(json)
  const named = (name: string) => json.providers.find((one: { name: string }) => one.name === name)
  t.deepEqual(named('kakao'), {
    name: 'kakao',
    title: 'Kakao',
    enabled: true,
    login_url: `${publicUrl}/e/oauth/kakao/login`,
  })
  t.deepEqual(named('google'), {
    name: 'google',
    title: 'Google',
    enabled: false,
    missing: ['GOOGLE_CLIENT_ID', 'GOOGLE_CLIENT_SECRET'],
  })
  for (const secret of ['kakao-client', 'kakao-secret']) t.false(text.includes(secret))
})

test('the public address is the configured one, whatever host was asked', async (t) => {
  const { send } = await world()
  const forged = { 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' }
  t.false((await send('GET', '/e/oauth/providers', { headers: forged })).text.includes('evil.example'))
})

test('the list can only be read', async (t) => {
  const { send } = await world()
  const { status, headers } = await send('POST', '/e/oauth/providers', { body: {} })
  t.is(status, 405)
  t.regex(headers.get('allow') ?? '', /\bGET\b/)
})
