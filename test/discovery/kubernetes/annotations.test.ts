import test from 'ava'
import { readAnnotations } from '../../../src/discovery/kubernetes/annotations.ts'

const read = (annotations: Record<string, string>) => readAnnotations(annotations, 'gateway.jinmini.com/')

test('several paths are separated by commas or line breaks', (t) => {
  const paths = (path: string) => read({ path }).description?.path
  t.deepEqual(paths('/api/users, /api/user'), ['/api/users', '/api/user'])
  t.deepEqual(paths('/api/users\n/api/user\n'), ['/api/users', '/api/user'])
  t.deepEqual(paths('/api/users,/api/user'), ['/api/users', '/api/user'])
})

test('a comma that no slash follows belongs to the path or its scopes', (t) => {
  t.deepEqual(read({ path: '/a,b, /me; auth=required; scope=profile, email, /c' }).description?.path, [
    '/a,b',
    { prefix: '/me', auth: 'required', scope: ['profile', 'email'] },
    '/c',
  ])
})

test('a word of enable that is neither true nor false is a fault, not a no', (t) => {
  t.like(read({ enable: 'ture' }), { enabled: true, description: undefined })
  t.like(read({ enable: 'false', auth: 'nonee' }), { enabled: false })
})

test('anything wrong takes all of the description away, and each fault is told', (t) => {
  const { description, faults } = read({ enable: 'true', path: 'users', retries: 'many', Auth: 'none' })
  t.is(description, undefined)
  t.is(faults.length, 3)
  t.regex(faults[0] ?? '', /gateway\.jinmini\.com\/Auth: none.*expected one of enable, .*did you mean `auth`/)
  t.true(
    faults.every((fault) => /^annotation "gateway\.jinmini\.com\/(?:Auth|path|retries): /.test(fault)),
    faults.join('\n'),
  )
})
