import test from 'ava'
import type { ProviderKind } from '../../src/oauth/provider.ts'
import { faultLines, load } from '../support/config.ts'

const production = { NODE_ENV: 'production', PUBLIC_URL: 'https://www.jinmini.com' }

/** A provider that is on where it is told of, and never right about its id where that is `bad`. */
const kind: ProviderKind = {
  name: 'example',
  variables: {},
  read({ EXAMPLE_CLIENT_ID: id }) {
    const name = { name: 'example', title: 'Example' }
    if (id === undefined)
      return { configured: [], off: [{ ...name, missing: ['EXAMPLE_CLIENT_ID'] }], faults: [] }
    if (id === 'bad') {
      return { configured: [], off: [], faults: [{ variable: 'EXAMPLE_CLIENT_ID', expected: 'a good one' }] }
    }
    const create = () => {
      throw new Error('nobody asks it')
    }
    return { configured: [{ ...name, create }], off: [], faults: [] }
  },
}

test('a provider without its settings is off, and says what it lacks', (t) => {
  const { oauth } = load(t, { providers: [kind] })
  t.deepEqual(oauth.providers, [])
  t.deepEqual(oauth.off, [{ name: 'example', title: 'Example', missing: ['EXAMPLE_CLIENT_ID'] }])
})

test('what a provider finds wrong is told with its variable', (t) => {
  t.deepEqual(faultLines(t, { providers: [kind], env: { EXAMPLE_CLIENT_ID: 'bad' } }), [
    'EXAMPLE_CLIENT_ID: found "bad", expected a good one',
  ])
})

test('e-mail addresses of a provider that is not configured cannot be trusted', (t) => {
  t.deepEqual(faultLines(t, { providers: [kind], env: { LINK_VERIFIED_EMAIL: 'example' } }), [
    'LINK_VERIFIED_EMAIL: found "example", expected providers that are configured, and none is',
  ])
  const env = { EXAMPLE_CLIENT_ID: 'good', LINK_VERIFIED_EMAIL: 'example,example' }
  t.deepEqual(load(t, { providers: [kind], env }).oauth.linkVerifiedEmail, ['example', 'example'])
})

test('accounts of one provider are never linked, so naming one alone is a mistake', (t) => {
  const env = { EXAMPLE_CLIENT_ID: 'good', LINK_VERIFIED_EMAIL: 'example' }
  t.deepEqual(faultLines(t, { providers: [kind], env }), [
    'LINK_VERIFIED_EMAIL: found "example" alone, expected at least two: accounts of one provider are never linked with each other',
  ])
})

test('logins of a production gateway begin at an https address, or on this very machine', (t) => {
  const env = { ...production, EXAMPLE_CLIENT_ID: 'good' }
  t.deepEqual(faultLines(t, { providers: [kind], env: { ...env, PUBLIC_URL: 'http://www.jinmini.com' } }), [
    'PUBLIC_URL: found "http://www.jinmini.com", expected https in production where logins begin: their cookies and codes pass through it',
  ])
  for (const url of ['https://www.jinmini.com', 'http://localhost:8080']) {
    t.is(load(t, { providers: [kind], env: { ...env, PUBLIC_URL: url } }).publicUrl, url)
  }
  t.is(load(t, { env: { ...production, PUBLIC_URL: 'http://intranet' } }).publicUrl, 'http://intranet')
})

for (const url of [
  'app.example.com/welcome',
  'https://user@app.example.com/',
  'https://app.example.com/#x',
  'https://app.example.com/?a=1',
  'https://APP.example.com/',
  'https://app.example.com:443/',
  'https://app.example.com/a/../b',
  'javascript:alert(1)',
]) {
  test(`an address that browsers would not write so is refused: ${url}`, (t) => {
    for (const variable of ['LOGIN_RETURN_URLS', 'OAUTH_REDIRECT_URIS']) {
      const [line, ...more] = faultLines(t, { env: { [variable]: `https://ok.example.com/,${url}` } })
      t.deepEqual(more, [])
      t.true(line?.startsWith(`${variable}: found `), line)
    }
  })
}

test('addresses are kept to the letter', (t) => {
  const urls = 'https://app.example.com, http://localhost:3000/welcome'
  const { oauth } = load(t, { env: { LOGIN_RETURN_URLS: urls } })
  t.deepEqual(oauth.returnUrls, ['https://app.example.com', 'http://localhost:3000/welcome'])
})

test('production sends nobody with a code to an address that anybody on the way can read', (t) => {
  const env = { ...production, LOGIN_RETURN_URLS: 'http://app.example.com/,http://127.0.0.1:3000/' }
  t.deepEqual(faultLines(t, { env }), [
    'LOGIN_RETURN_URLS: found "http://app.example.com/", expected https URLs in production',
  ])
})

test('a token of a provider has a header of its own', (t) => {
  t.deepEqual(faultLines(t, { env: { PROVIDER_TOKEN_HEADER: 'X-User-Id' } }), [
    'PROVIDER_TOKEN_HEADER: found "X-User-Id", as USER_ID_HEADER, expected a name of its own',
  ])
})
