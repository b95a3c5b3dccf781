import { decodeJwt, decodeProtectedHeader } from 'jose'
import { tokenReplySchema } from '../../../src/tokens/schemas.ts'
import { eachDatabase } from '../../support/database.ts'
import { asNobody, asShop, issuer, sharedTokenServer, someone } from '../../support/token-server.ts'

eachDatabase(({ test, fresh }) => {
  const server = sharedTokenServer(fresh)

  test('a client gets a pair for its user, in the form of RFC 6749', async (t) => {
    const { post } = await server()
    const before = Date.now()
    const { status, json } = await post('/tokens/create', {
      subject: someone(),
      scope: 'profile email profile',
    })
    t.is(status, 200)
    tokenReplySchema.strict().parse(json)
    t.like(json, { token_type: 'Bearer', expires_in: 900, scope: 'profile email' })
    t.regex(json.refresh_token, /^[\w-]{43}$/)
    t.true(Math.abs(Date.parse(json.created_at) - before) < 60_000)
  })

  test('the access token verifies, and says what was asked for', async (t) => {
    const { post, verifier } = await server()
    const subject = someone()
    const { json } = await post('/tokens/create', {
      subject,
      scope: 'a b',
      claims: { plan: 'free', deep: { x: [1] } },
    })
    t.is(decodeProtectedHeader(json.access_token).typ, 'at+jwt')
    const { claims } = await verifier.verify(json.access_token)
    t.like(claims, {
      iss: issuer,
      aud: issuer,
      sub: subject,
      client_id: 'auth',
      scope: 'a b',
      plan: 'free',
      deep: { x: [1] },
    })
  })

  test('an audience of its own stands instead of the gateway, one or a few', async (t) => {
    const { post } = await server()
    const ask = async (audience: unknown) =>
      decodeJwt((await post('/tokens/create', { subject: someone(), audience })).json.access_token).aud
    t.is(await ask('shop-api'), 'shop-api')
    t.deepEqual(await ask(['shop-api', 'https://other.example', 'shop-api']), [
      'shop-api',
      'https://other.example',
    ])
  })

  test('claims may hold whatever JSON can, names of prototypes too', async (t) => {
    const { post } = await server()
    const claims =
      '{"constructor":"c","toString":null,"deep":{"__proto__":{"polluted":true}},"한국어":"문지기 \\"quoted\\" ?"}'
    const { status, json } = await post('/tokens/create', `{"subject":"${someone()}","claims":${claims}}`)
    t.is(status, 200)
    t.like(decodeJwt(json.access_token), { constructor: 'c', 한국어: '문지기 "quoted" ?' })
    t.is(({} as { polluted?: unknown }).polluted, undefined)
    const next = await post('/tokens/refresh', { refresh_token: json.refresh_token }, asNobody)
    t.like(decodeJwt(next.json.access_token), { constructor: 'c', 한국어: '문지기 "quoted" ?' })
  })

  test('claims that others read instead of scope and client_id are not a client’s to set', async (t) => {
    const { post } = await server()
    for (const claims of [{ scp: 'admin' }, { azp: 'other' }]) {
      const { status, json } = await post('/tokens/create', { subject: someone(), claims })
      t.is(status, 400)
      t.regex(json.detail, /^claims: (scp|azp) may not be set by a client$/)
    }
  })

  test('a form does as well as JSON', async (t) => {
    const { form, verifier } = await server()
    const body = new URLSearchParams({ subject: someone(), scope: 'a b', claims: '{"plan":"free"}' })
    const { status, json } = await form('/tokens/create', String(body), asShop)
    t.is(status, 200)
    t.like((await verifier.verify(json.access_token)).claims, {
      client_id: 'shop',
      scope: 'a b',
      plan: 'free',
    })
  })

  test('no token and no secret is in the database', async (t) => {
    const { post, database } = await server()
    const { json } = await post('/tokens/create', { subject: someone() })
    const rows = await database.run((em) =>
      em.execute(`select row_to_json(s)::text || row_to_json(t)::text as text
        from munjigi.refresh_tokens t join munjigi.sessions s on s.id = t.session_id`),
    )
    const text = JSON.stringify(rows)
    t.true(rows.length > 0)
    t.false(text.includes(json.refresh_token))
    t.false(text.includes(json.access_token))
  })
})
