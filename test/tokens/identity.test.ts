import test from 'ava'
import { foreignIdentity, ownIdentity } from '../../src/tokens/identity.ts'

const payload = { iss: 'https://www.example.com', sub: 'user-1', exp: 1000, jti: 'token-1', sid: 'session-1' }

test('a token of the gateway’s own is read by the gateway’s own names of claims', (t) => {
  const { scope, scopes, clientId, keyId } = ownIdentity(
    {
      ...payload,
      client_id: 'auth',
      scp: 'admin',
      azp: 'shop',
    },
    'key-1',
  )
  t.is(scope, '')
  t.is(scopes.size, 0)
  t.is(clientId, 'auth')
  t.is(keyId, 'key-1')
  t.is(ownIdentity({ ...payload, azp: 'shop' }, 'key-1').clientId, undefined)
  t.like(ownIdentity({ ...payload, scope: 'a b' }, 'key-1'), { scope: 'a b', scopes: new Set(['a', 'b']) })
  t.throws(() => ownIdentity({ ...payload, scope: ['a'] }, 'key-1'))
})

test('a token of another issuer’s is read by the words that others have for the same', (t) => {
  t.like(foreignIdentity({ ...payload, azp: 'app', scp: ['a', 'b'] }), {
    subject: 'user-1',
    issuer: 'https://www.example.com',
    clientId: 'app',
    scope: 'a b',
    tokenId: 'token-1',
    sessionId: 'session-1',
    expiresAt: 1000,
  })
  t.is(foreignIdentity({ ...payload, client_id: 'shop', azp: 'app' }).clientId, 'shop')
})

test('what no header can carry to a house is refused', (t) => {
  for (const bad of [
    { sub: 'a\r\nb' },
    { sub: '문지기' },
    { sub: ' a' },
    { scope: 'a\nb' },
    { scope: 'x'.repeat(1025) },
  ]) {
    t.throws(() => ownIdentity({ ...payload, ...bad }, 'key-1'))
    t.throws(() => foreignIdentity({ ...payload, ...bad }))
  }
})
