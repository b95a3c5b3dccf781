import test from 'ava'
import { faultLines, load } from '../support/config.ts'

const production = {
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://www.jinmini.com',
}

test('in development the admin endpoints are on the main port unless they are given one', (t) => {
  t.deepEqual(load(t).admin, { port: undefined, host: '127.0.0.1', token: undefined })
  t.is(load(t, { env: { PORT: '9090', ADMIN_PORT: '9090' } }).admin.port, undefined)
  t.is(load(t, { env: { ADMIN_PORT: '7000' } }).admin.port, 7000)
  t.is(load(t, { env: { PORT: '0', ADMIN_PORT: '0' } }).admin.port, 0)
})

test('in production they have a port of their own, on this machine only', (t) => {
  t.deepEqual(load(t, { env: production }).admin, { port: 9090, host: '127.0.0.1', token: undefined })
  const elsewhere = { ADMIN_PORT: '7000', ADMIN_HOST: '0.0.0.0', ADMIN_TOKEN: 'sixteen-letters-' }
  t.deepEqual(load(t, { env: { ...production, ...elsewhere } }).admin, {
    port: 7000,
    host: '0.0.0.0',
    token: 'sixteen-letters-',
  })
})

test('in production they are never on the public port', (t) => {
  t.deepEqual(faultLines(t, { env: { ...production, PORT: '7000', ADMIN_PORT: '7000' } }), [
    'ADMIN_PORT: found 7000, which is PORT, expected a port of its own in production: what is said there is not for the public',
  ])
  t.regex(
    faultLines(t, { env: { ...production, PORT: '9090' } }).join('\n'),
    /^ADMIN_PORT: found 9090 \(its default\), which is PORT, /,
  )
})

test('a token that is easily guessed is refused in production, and never shown', (t) => {
  const [line = '', ...others] = faultLines(t, { env: { ...production, ADMIN_TOKEN: 'fifteen-letters' } })
  t.deepEqual(others, [])
  t.regex(line, /^ADMIN_TOKEN: found a token that is easily guessed \(not shown\), expected at least 16 /)
  t.is(load(t, { env: { ADMIN_TOKEN: 'short' } }).admin.token, 'short')
  const [spaced = ''] = faultLines(t, { env: { ADMIN_TOKEN: 'with a space' } })
  t.regex(spaced, /^ADMIN_TOKEN: found a value \(not shown\), expected letters, digits/)
})
