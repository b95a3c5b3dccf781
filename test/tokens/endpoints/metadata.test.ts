import test from 'ava'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { GatewayError } from '../../../src/errors.ts'
import { createNoTokenRoutes } from '../../../src/tokens/routes.ts'
import { jwksSchema, metadataSchema } from '../../../src/tokens/schemas.ts'
import { freshEmbedded } from '../../support/database.ts'
import {
  asAuth,
  issuer,
  shared,
  someone,
  startTokenParts,
  startTokenServer,
} from '../../support/token-server.ts'

const parts = shared(async (t) => startTokenParts(t, await freshEmbedded(t)))
const server = shared(async (t) => startTokenServer(t, await parts()))

test('whoever has the JWKS can verify a token', async (t) => {
  const { url, post } = await server()
  const reply = await fetch(`${url}/.well-known/jwks.json`)
  t.is(reply.status, 200)
  t.is(reply.headers.get('content-type'), 'application/jwk-set+json')
  t.is(reply.headers.get('cache-control'), 'public, max-age=600')
  const jwks = (await reply.json()) as Parameters<typeof createLocalJWKSet>[0]
  const { json } = await post('/tokens/create', { subject: someone() })
  await t.notThrowsAsync(
    jwtVerify(json.access_token, createLocalJWKSet(jwks), { issuer, audience: issuer, typ: 'at+jwt' }),
  )
})

test('the JWKS holds public members and no others', async (t) => {
  const { url } = await server()
  const jwks = jwksSchema.parse(await (await fetch(`${url}/.well-known/jwks.json`)).json())
  t.true(jwks.keys.length > 0)
  for (const key of jwks.keys) {
    t.deepEqual(Object.keys(key).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
  }
})

test('before the keys have been read there is no empty JWKS to be kept', async (t) => {
  const early = await startTokenServer(t, await parts(), { routes: { keys: { jwks: () => ({ keys: [] }) } } })
  const reply = await fetch(`${early.url}/.well-known/jwks.json`)
  t.is(reply.status, 503)
  t.is(reply.headers.get('cache-control'), 'no-store')
})

test('the metadata says where the endpoints are, by the public URL and with the prefix', async (t) => {
  const { url } = await startTokenServer(t, await parts(), { routes: { routePrefix: '/e' } })
  const reply = await fetch(`${url}/.well-known/oauth-authorization-server`)
  t.is(reply.headers.get('content-type'), 'application/json; charset=utf-8')
  const metadata = metadataSchema.strict().parse(await reply.json())
  t.like(metadata, {
    issuer,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    token_endpoint: `${issuer}/e/tokens/refresh`,
    introspection_endpoint: `${issuer}/e/tokens/verify`,
    revocation_endpoint: `${issuer}/e/tokens/revoke`,
    grant_types_supported: ['refresh_token'],
    response_types_supported: [],
  })
  const at = (path: string) =>
    fetch(url + path, {
      method: 'POST',
      headers: { ...asAuth, 'Content-Type': 'application/json' },
      body: '{"token":"x"}',
    })
  t.is((await at('/e/tokens/verify')).status, 200)
  t.is((await at('/tokens/verify')).status, 404)
})

test('where somebody can log in it says where, and that it takes PKCE', async (t) => {
  const { url } = await startTokenServer(t, await parts(), { routes: { routePrefix: '/e', logins: true } })
  const reply = await fetch(`${url}/.well-known/oauth-authorization-server`)
  t.like(metadataSchema.strict().parse(await reply.json()), {
    authorization_endpoint: `${issuer}/e/oauth/authorize`,
    token_endpoint: `${issuer}/e/oauth/token`,
    grant_types_supported: ['authorization_code', 'refresh_token'],
    response_types_supported: ['code'],
    code_challenge_methods_supported: ['S256'],
  })
})

test('a gateway without a database says so at each of these paths', async (t) => {
  const { middleware } = createNoTokenRoutes({ routePrefix: '/e' })
  const ask = async (path: string) => {
    const ctx = { path, state: {} } as unknown as Parameters<typeof middleware>[0]
    try {
      return await middleware(ctx, async () => 'next')
    } catch (error) {
      return error
    }
  }
  for (const path of ['/e/tokens/create', '/e/tokens/dummy', '/.well-known/jwks.json']) {
    const error = await ask(path)
    t.true(
      error instanceof GatewayError && error.code === 'not_found' && /no database/.test(error.message),
      path,
    )
  }
  t.is(await ask('/tokens/create'), 'next')
})
