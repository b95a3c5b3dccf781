import test from 'ava'
import { createLog } from '../../../src/observability/log.ts'
import { dummyReplySchema } from '../../../src/tokens/schemas.ts'
import { freshEmbedded } from '../../support/database.ts'
import { asNobody, issuer, shared, startTokenParts, startTokenServer } from '../../support/token-server.ts'

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

test('a gateway without dummies has no such path', async (t) => {
  const production = await startTokenServer(t, await parts(), { routes: { dummies: undefined } })
  const reply = await fetch(`${production.url}/tokens/dummy`, { method: 'POST' })
  t.is(reply.status, 404)
})

test('an empty text, one beyond measure and an unknown member are refused', async (t) => {
  const { post } = await server()
  for (const body of [
    { access_token: '' },
    { access_token: 'x'.repeat(4097) },
    { access_token: 1 },
    { sub: 'x' },
  ]) {
    t.is((await post('/tokens/dummy', body, asNobody)).status, 400)
  }
})
