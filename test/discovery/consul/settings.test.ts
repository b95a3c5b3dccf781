import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { consulSettings, consulVariables } from '../../../src/discovery/consul/settings.ts'

const read = (environment: Record<string, string>) =>
  consulSettings.safeParse({ environment, urls: new Map() })
const options = (environment: Record<string, string>) => {
  const result = read(environment)
  if (!result.success) throw result.error
  return result.data
}
const faults = (environment: Record<string, string>) =>
  read(environment).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []

test("without settings the agent is this machine's", (t) => {
  t.is(options({}).url, 'http://127.0.0.1:8500')
})

test('the address is host:port or a URL, and a scheme in it wins over CONSUL_HTTP_SSL', (t) => {
  t.is(options({ CONSUL_HTTP_ADDR: 'consul:8500' }).url, 'http://consul:8500')
  t.is(options({ CONSUL_HTTP_ADDR: '[::1]:8500' }).url, 'http://[::1]:8500')
  t.is(options({ CONSUL_HTTP_ADDR: 'https://consul.example' }).url, 'https://consul.example')
  t.is(options({ CONSUL_HTTP_ADDR: 'http://example:80/consul/' }).url, 'http://example/consul')
  t.is(options({ CONSUL_HTTP_ADDR: 'consul:8501', CONSUL_HTTP_SSL: 'true' }).url, 'https://consul:8501')
  t.is(options({ CONSUL_HTTP_ADDR: 'http://consul:8500', CONSUL_HTTP_SSL: '1' }).url, 'http://consul:8500')
})

for (const address of [
  'consul',
  ':8500',
  'ftp://consul:21',
  'consul:0',
  'consul:99999',
  'http://c:1?x=1',
  'a b:1',
]) {
  test(`the address ${address} is refused`, (t) => {
    t.regex(faults({ CONSUL_HTTP_ADDR: address }).join(), /^environment\.CONSUL_HTTP_ADDR: expected /)
  })
}

test('connections are a whole number from 4 on, 128 unless it is said otherwise', (t) => {
  t.is(options({}).maxConnections, 128)
  t.is(options({ CONSUL_MAX_CONNECTIONS: '4' }).maxConnections, 4)
  for (const wrong of ['3', '-8', '12.5', 'many', '0x10']) {
    t.deepEqual(faults({ CONSUL_MAX_CONNECTIONS: wrong }), [
      'environment.CONSUL_MAX_CONNECTIONS: expected a whole number from 4 to 999999',
    ])
  }
})

test('a socket of the file system is refused in so many words', (t) => {
  t.regex(faults({ CONSUL_HTTP_ADDR: 'unix:///run/consul.sock' }).join(), /unix:\/\/\) are not supported/)
})

test('user information in the address is refused without being shown', (t) => {
  const [fault = ''] = faults({ CONSUL_HTTP_ADDR: 'http://me:hush@consul:8500' })
  t.regex(fault, /expected a URL without user information/)
  t.notRegex(fault, /hush/)
})

test('a token that is no header value is refused without being shown', (t) => {
  const [fault = ''] = faults({ CONSUL_HTTP_TOKEN: 'hush\r\nX-Evil: 1' })
  t.regex(fault, /^environment\.CONSUL_HTTP_TOKEN: expected a token without spaces or control characters/)
  t.notRegex(fault, /hush/)
})

test('files that cannot be read, and half a client certificate, are refused, all at once', (t) => {
  t.deepEqual(faults({ CONSUL_CACERT: '/nowhere/ca.pem', CONSUL_HTTP_SSL_VERIFY: 'maybe' }), [
    'environment.CONSUL_HTTP_SSL_VERIFY: expected true or false',
    'environment.CONSUL_CACERT: expected a file that can be read',
  ])
  t.deepEqual(faults({ CONSUL_CLIENT_CERT: import.meta.filename }), [
    'environment.CONSUL_CLIENT_KEY: expected a PEM file, since CONSUL_CLIENT_CERT is set',
  ])
})

test('an empty token file is refused', async (t) => {
  const file = join(tmpdir(), `munjigi-token-${process.pid}`)
  await writeFile(file, '\n')
  t.deepEqual(faults({ CONSUL_HTTP_TOKEN_FILE: file }), [
    'environment.CONSUL_HTTP_TOKEN_FILE: expected a file that holds a token',
  ])
})

test('every variable is documented, and only tokens are secret', (t) => {
  t.true(Object.values(consulVariables).every(({ description }) => description.length > 10))
  const secrets = Object.entries(consulVariables).filter(([, { secret }]) => secret)
  t.deepEqual(
    secrets.map(([name]) => name),
    ['CONSUL_HTTP_TOKEN'],
  )
})
