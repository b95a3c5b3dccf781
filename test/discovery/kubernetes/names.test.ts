import test from 'ava'
import { type Named, publishedNames } from '../../../src/discovery/kubernetes/names.ts'

const auth = (namespace: string, createdAt = '2026-01-01T00:00:00Z'): Named => ({
  name: 'auth',
  namespace,
  createdAt,
})
const names = (services: readonly Named[], listed?: readonly string[]) => [
  ...publishedNames(services, listed, 'home').values(),
]

test('a name that nobody shares stays as it is', (t) => {
  t.deepEqual(names([auth('shop'), { ...auth('mail'), name: 'mail' }]), ['auth', 'mail'])
})

test('the namespace that was listed first has the name', (t) => {
  t.deepEqual(names([auth('a'), auth('b', '2025-01-01T00:00:00Z'), auth('c')], ['c', 'a', 'b']), [
    'auth.a',
    'auth.b',
    'auth',
  ])
})

test('of all namespaces the gateway’s own has the name, then the oldest Service', (t) => {
  const young = auth('a', '2026-02-01T00:00:00Z')
  t.deepEqual(names([young, auth('b'), auth('home', '2026-03-01T00:00:00Z')]), ['auth.a', 'auth.b', 'auth'])
  t.deepEqual(names([young, auth('b')]), ['auth.a', 'auth'])
  t.deepEqual(names([auth('b'), auth('a')]), ['auth.b', 'auth'])
})
