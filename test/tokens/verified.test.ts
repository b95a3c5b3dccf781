import test from 'ava'
import { createVerifiedTokens, type Pass } from '../../src/tokens/verified.ts'

const pass: Pass = {
  identity: {
    subject: 'user-1',
    issuer: 'https://login.example.com',
    clientId: undefined,
    scopes: new Set(),
    scope: '',
    tokenId: undefined,
    sessionId: undefined,
    expiresAt: 1000,
  },
  headers: [],
}

test('a verified token is remembered until the second it was said to be good for', (t) => {
  const verified = createVerifiedTokens(10)
  verified.add('token', pass, 1000)
  t.is(verified.get('token', 999.9)?.identity.subject, 'user-1')
  t.is(verified.get('token', 1000), undefined)
  t.is(verified.get('token', 999.9), undefined, 'and is not brought back by a clock that is set back')
})

test('only so many are remembered, the least used go first', (t) => {
  const verified = createVerifiedTokens(2)
  verified.add('a', pass, 1000)
  verified.add('b', pass, 1000)
  verified.get('a', 0)
  verified.add('c', pass, 1000)
  t.deepEqual(
    ['a', 'b', 'c'].map((token) => verified.get(token, 0) !== undefined),
    [true, false, true],
  )
})

test('with room for none every token is verified anew', (t) => {
  const verified = createVerifiedTokens(0)
  verified.add('a', pass, 1000)
  t.is(verified.get('a', 0), undefined)
})
