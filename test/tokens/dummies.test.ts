import test from 'ava'
import { createDummies } from '../../src/tokens/dummies.ts'

const identity = {
  subject: 'test-user',
  issuer: 'https://www.example.com',
  clientId: 'dummy',
  scopes: new Set<string>(),
  scope: '',
  tokenId: undefined,
  sessionId: undefined,
  expiresAt: 1000,
}

test('a dummy is found until it expires', (t) => {
  let now = 999_000
  const dummies = createDummies(() => now)
  dummies.add('any text', identity)
  t.is(dummies.find('any text'), identity)
  now = 1_000_000
  t.is(dummies.find('any text'), undefined)
})

test('of more than a thousand dummies the oldest is given up', (t) => {
  const dummies = createDummies(() => 0)
  for (let i = 0; i <= 1000; i++) {
    dummies.add(`dummy ${i}`, identity)
    if (i === 500) dummies.add('dummy 0', identity)
  }
  t.is(dummies.find('dummy 1'), undefined)
  t.is(dummies.find('dummy 0'), identity)
  t.is(dummies.find('dummy 1000'), identity)
})

test('blanks around a dummy do not matter: no header keeps them', (t) => {
  const dummies = createDummies(() => 0)
  dummies.add(' any text\t', identity)
  t.is(dummies.find('any text'), identity)
})
