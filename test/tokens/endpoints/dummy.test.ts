import test from 'ava'
import { createLog } from '../../../src/observability/log.ts'
import { dummyReplySchema, introspectionSchema } from '../../../src/tokens/schemas.ts'
import { freshEmbedded } from '../../support/database.ts'
import {
  asAuth,
  asNobody,
  issuer,
  shared,
  startTokenParts,
  startTokenServer,
} from '../../support/token-server.ts'

const parts = shared(async (t) => startTokenParts(t, await freshEmbedded(t)))
const server = shared(async (t) => startTokenServer(t, await parts()))

test('a typed text comes back as the access token, and is printed', async (t) => {
  const { post, lines } = await server()
  const text = 'anything at all, 무엇이든 "quoted" é'
  const { status, json } = await post('/tokens/dummy', { access_token: text, scope: 'a b' }, asNobody)
  t.is(status, 200)
  dummyReplySchema.strict().parse(json)
  t.like(json, { access_token: text, token_type: 'Bearer', expires_in: 900, scope: 'a b' })
  t.is(json.refresh_token, undefined)
  t.true(lines.some(({ level, message }) => level === 'info' && message === `dummy token: ${text}`))
})

test('a dummy is found as it arrives in a header, with the subject and scope it was made with', async (t) => {
  const { form, dummies } = await server()
  await form('/tokens/dummy', 'access_token=%ED%95%9C%EA%B5%AD%EC%96%B4+dummy&scope=a+b')
  const arrived = Buffer.from('한국어 dummy').toString('latin1')
  for (const token of [arrived, '한국어 dummy']) {
    t.like(dummies.find(token), { subject: 'test-user', issuer, scope: 'a b', scopes: new Set(['a', 'b']) })
  }
  await form('/tokens/dummy', 'access_token=mine&subject=user-7')
  t.is(dummies.find('mine')?.subject, 'user-7')
  t.is(dummies.find('another'), undefined)
})

test('without a text it is a real pair for the test user, printed as well', async (t) => {
  const { post, verifier, lines } = await server()
  for (const body of ['', '{}']) {
    const { status, json } = await post('/tokens/dummy', body, asNobody)
    t.is(status, 200)
    t.is((await verifier.verify(json.access_token)).identity.subject, 'test-user')
    t.true(lines.some(({ message }) => message === `dummy token: ${json.access_token}`))
    t.false(JSON.stringify(lines).includes(json.refresh_token))
    t.is((await post('/tokens/refresh', { refresh_token: json.refresh_token }, asNobody)).status, 200)
  }
})

test('what would move the cursor of a terminal is not printed', async (t) => {
  const printed: string[] = []
  const log = createLog({ level: 'info', format: 'people', write: (line) => void printed.push(line) })
  const { post } = await startTokenServer(t, await parts(), { routes: { log } })
  const text = 'red \u001b[31m\r\nfake: line\u202e'
  const { json } = await post('/tokens/dummy', { access_token: text }, asNobody)
  t.is(json.access_token, text)
  t.deepEqual(printed, ['dummy token: red ?[31m??fake: line?\n'])
})

test('a dummy is active for whoever asks with it, and for clients, until it is revoked', async (t) => {
  const { post, form } = await server()
  // Shaped like a refresh token: it is a dummy all the same.
  const token = 'A'.repeat(43)
  const { json: made } = await post(
    '/tokens/dummy',
    { access_token: token, subject: 'user-7', scope: 'a b' },
    asNobody,
  )
  const bearer = { Authorization: `Bearer ${token}` }
  for (const headers of [asAuth, bearer]) {
    const { status, json } = await post('/tokens/verify', { token }, headers)
    t.is(status, 200)
    introspectionSchema.parse(json)
    const { exp, ...rest } = json
    t.deepEqual(rest, {
      active: true,
      token_type: 'Bearer',
      sub: 'user-7',
      client_id: 'dummy',
      scope: 'a b',
      iss: issuer,
    })
    t.is(exp, Date.parse(made.created_at) / 1000 + made.expires_in)
  }
  t.is((await post('/tokens/verify', { token }, asNobody)).status, 401)
  t.is((await form('/tokens/revoke', `token=${token}`)).status, 200)
  t.deepEqual((await post('/tokens/verify', { token })).json, { active: false })
})

test('a page of a stranger’s has no dummy made, in whatever form it asks', async (t) => {
  const { post, form, dummies, url } = await server()
  for (const Origin of [
    'https://evil.example',
    'null',
    'http://127.0.0.1',
    'https://www.example.com.evil.example',
  ]) {
    for (const reply of [
      await form('/tokens/dummy', 'access_token=theirs', { Origin }),
      await post('/tokens/dummy', '', { Origin }),
    ]) {
      t.is(reply.status, 403, Origin)
      t.like(reply.json, { code: 'origin_not_allowed' })
    }
  }
  t.is(dummies.find('theirs'), undefined)
  for (const Origin of [url, issuer, 'https://app.example.com']) {
    t.is((await form('/tokens/dummy', 'access_token=ours', { Origin })).status, 200, Origin)
  }
})

test('a gateway without dummies has no such path', async (t) => {
  const production = await startTokenServer(t, await parts(), { routes: { dummies: undefined } })
  const reply = await fetch(`${production.url}/tokens/dummy`, { method: 'POST' })
  t.is(reply.status, 404)
})

test('an empty text, one beyond measure and an unknown member are refused', async (t) => {
  const { post } = await server()
  for (const body of [
    { access_token: '' },
    { access_token: ' ' },
    { access_token: '\t \u3000\n' },
    { access_token: 'x'.repeat(4097) },
    { access_token: 1 },
    { sub: 'x' },
  ]) {
    t.is((await post('/tokens/dummy', body, asNobody)).status, 400)
  }
})
