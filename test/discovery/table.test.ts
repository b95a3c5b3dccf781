import test from 'ava'
import { createLookup } from '../../src/discovery/table.ts'
import { cpuMs } from '../support/figures.ts'

const routes = (...prefixes: string[]) => prefixes.map((prefix) => ({ prefix }))

test('a prefix matches itself and what is below it, by whole segments', (t) => {
  const find = createLookup(routes('/api/users'))
  for (const path of ['/api/users', '/api/users/', '/api/users/1', '/api/users/1/']) {
    t.is(find(path)?.prefix, '/api/users', path)
  }
  for (const path of [
    '/',
    '/api',
    '/api/',
    '/api/users2',
    '/api/user',
    '/api/users.json',
    '/x/api/users',
    '/API/USERS',
  ]) {
    t.is(find(path), undefined, path)
  }
})

test('the longest prefix wins, in whatever order they are given', (t) => {
  const prefixes = ['/', '/api', '/api/users', '/api/users/admin', '/api/users-old']
  for (const order of [prefixes, prefixes.toReversed()]) {
    const find = createLookup(routes(...order))
    t.is(find('/api/users/admin/1')?.prefix, '/api/users/admin')
    t.is(find('/api/users/administrator')?.prefix, '/api/users')
    t.is(find('/api/users-old')?.prefix, '/api/users-old')
    t.is(find('/api/users-older')?.prefix, '/api')
    t.is(find('/apiary')?.prefix, '/')
    t.is(find('/')?.prefix, '/')
  }
})

test('/ takes everything that nobody else does', (t) => {
  const find = createLookup(routes('/', '/a'))
  t.is(find('/b/c')?.prefix, '/')
  t.is(find('/a')?.prefix, '/a')
  t.is(find('/ab')?.prefix, '/')
})

test('without routes nothing is found', (t) => {
  const find = createLookup([])
  for (const path of ['/', '/a', '/a/b/c']) t.is(find(path), undefined)
})

test('a prefix shorter than its neighbours is found below a long path', (t) => {
  const find = createLookup(routes('/a', `/${'b'.repeat(300)}`))
  t.is(find(`/a/${'c/'.repeat(400)}`)?.prefix, '/a')
})

test('looking a path of 16 KB up takes no time to speak of', (t) => {
  const find = createLookup(routes('/api/users', `/long${'/a'.repeat(120)}`))
  for (const path of [
    '/a'.repeat(8192),
    `/${'a'.repeat(16_383)}`,
    '/long'.repeat(3276),
    `/long${'/a'.repeat(8000)}b`,
  ]) {
    const took = cpuMs(() => {
      for (let i = 0; i < 100; i += 1) find(path)
    })
    t.true(took < 500, `100 look-ups took ${took} ms`)
  }
})
