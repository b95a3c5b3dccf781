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
  const dummies = createDummies({ origins: [], now: () => now })
  dummies.add('any text', identity)
  t.is(dummies.find('any text'), identity)
  now = 1_000_000
  t.is(dummies.find('any text'), undefined)
})

test('of more than a thousand dummies the oldest is given up', (t) => {
  const dummies = createDummies({ origins: [], now: () => 0 })
  for (let i = 0; i <= 1000; i++) {
    dummies.add(`dummy ${i}`, identity)
    if (i === 500) dummies.add('dummy 0', identity)
  }
  t.is(dummies.find('dummy 1'), undefined)
  t.is(dummies.find('dummy 0'), identity)
  t.is(dummies.find('dummy 1000'), identity)
})

test('blanks around a dummy do not matter: no header keeps them', (t) => {
  const dummies = createDummies({ origins: [], now: () => 0 })
  dummies.add(' any text\t', identity)
  t.is(dummies.find('any text'), identity)
})

test('a dummy that was removed is found no more, as it was typed and as it was sent', (t) => {
  const dummies = createDummies({ origins: [], now: () => 0 })
  for (const token of ['any text', Buffer.from('아무 말').toString('latin1')]) {
    dummies.add(token === 'any text' ? token : '아무 말', identity)
    t.truthy(dummies.find(token))
    t.true(dummies.remove(` ${token}`))
    t.is(dummies.find(token), undefined)
    t.false(dummies.remove(token))
  }
})

test('pages of known origins and of the host that was asked are welcome, and who sends no origin', (t) => {
  const dummies = createDummies({ origins: ['https://www.example.com', 'http://localhost:3000'] })
  const host = 'localhost:8080'
  for (const origin of [
    undefined,
    'https://www.example.com',
    'http://localhost:3000',
    'http://localhost:8080',
  ]) {
    t.true(dummies.isWelcome(origin, host), origin)
  }
  t.true(dummies.isWelcome('http://127.0.0.1:8080', '127.0.0.1:8080'))
  t.true(dummies.isWelcome('http://[::1]:8080', '[::1]:8080'))
  const strangers = [
    'https://evil.example',
    'null',
    '',
    'http://localhost',
    'http://localhost:8080.evil.example',
  ]
  for (const origin of [
    ...strangers,
    'http://127.0.0.1:8080',
    'http://evil@localhost:80',
    'https://www.example.com.',
  ]) {
    t.false(dummies.isWelcome(origin, host), origin)
  }
  t.false(dummies.isWelcome('https://evil.example', undefined))
})
