import test from 'ava'
import { readDemoPort, withDemoProvider } from '../../scripts/demo-settings.ts'

test('in development there is a demo provider, on 8090 unless told otherwise', (t) => {
  t.is(readDemoPort({}), 8090)
  t.is(readDemoPort({ DEMO_PROVIDER_PORT: ' ' }), 8090)
  t.is(readDemoPort({ DEMO_PROVIDER_PORT: '9000' }), 9000)
})

test('there is none where it is off, in production, without a database, or beside one of that name', (t) => {
  t.is(readDemoPort({ DEMO_PROVIDER_PORT: 'off' }), undefined)
  t.is(readDemoPort({ DEMO_PROVIDER_PORT: '0' }), undefined)
  t.is(readDemoPort({ NODE_ENV: 'production' }), undefined)
  t.is(readDemoPort({ DATABASE_URL: 'none' }), undefined)
  t.is(readDemoPort({ OIDC_PROVIDERS: 'corp, demo' }), undefined)
})

for (const text of ['eighty', '65536', '-1', '80.90']) {
  test(`DEMO_PROVIDER_PORT=${text} is an error that names it`, (t) => {
    t.throws(() => readDemoPort({ DEMO_PROVIDER_PORT: text }), {
      message: `DEMO_PROVIDER_PORT: expected a port number or off, got "${text}"`,
    })
  })
}

test('the demo provider stands beside those that are configured', (t) => {
  const issuer = 'http://localhost:8090'
  t.like(withDemoProvider({ OIDC_PROVIDERS: 'corp', OIDC_CORP_CLIENT_ID: 'a' }, issuer), {
    OIDC_PROVIDERS: 'corp,demo',
    OIDC_CORP_CLIENT_ID: 'a',
    OIDC_DEMO_ISSUER: issuer,
    OIDC_DEMO_TITLE: 'Demo provider',
  })
  t.is(withDemoProvider({}, issuer).OIDC_PROVIDERS, 'demo')
})
