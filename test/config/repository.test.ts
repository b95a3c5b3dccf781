import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import test from 'ava'
import { demoVariables } from '../../scripts/demo-settings.ts'
import { authVariables } from '../../services/auth/settings.ts'
import { loadConfig } from '../../src/config/load.ts'
import { documentSettings, type SettingDoc } from '../../src/config/setting-docs.ts'
import { discoverySources } from '../../src/discovery/sources/index.ts'
import { providerKinds } from '../../src/oauth/providers/index.ts'

const root = join(import.meta.dirname, '../..')
const example = readFileSync(join(root, '.env.example'), 'utf8')
const settings = documentSettings(discoverySources, providerKinds, {
  'The example service': authVariables,
  'The demo provider': demoVariables,
})

/** `<NAME>_SERVICE_URL` is one setting and any number of variables: the example shows one. */
const shownAs = ({ name }: SettingDoc) => name.replace('<NAME>', 'AUTH')

test('.env.example has every variable that is known, and no other', (t) => {
  const variables = [...example.matchAll(/^# ([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => name)
  t.deepEqual(variables.toSorted(), settings.map(shownAs).toSorted())
})

test('.env.example says of each what it means and what its default is', (t) => {
  for (const setting of settings) {
    const line = `# ${setting.meaning} (${setting.default})\n# ${shownAs(setting)}=${setting.example.replace('<PORT>', '8080')}\n`
    t.true(example.includes(line), line)
  }
})

test('.env.example as it is sets nothing', (t) => {
  t.deepEqual({ ...parseEnv(example) }, {})
})

test('no secret is documented with a value', (t) => {
  const secrets = settings.filter(({ secret }) => secret)
  t.true(secrets.some(({ name }) => name === 'CONSUL_HTTP_TOKEN'))
  for (const { name, example } of secrets) t.is(example, '', name)
})

test('the gateway.yaml of the repository describes the example service', (t) => {
  const env = { GATEWAY_CONFIG: join(root, 'gateway.yaml') }
  const { services } = loadConfig({ env, cwd: import.meta.dirname, sources: discoverySources })
  t.deepEqual(Object.fromEntries(services), {
    auth: {
      enable: true,
      path: ['/api/users', '/api/user', { prefix: '/api/user/me', auth: 'required' }],
      strip: '/api',
      auth: 'none',
    },
  })
})

test('the configuration reference lists every variable, in both languages', (t) => {
  for (const page of ['docs/configuration.md', 'docs/configuration.ko.md']) {
    const listed = variablesIn(page)
    t.deepEqual(listed.toSorted(), settings.map(({ name }) => name).toSorted(), page)
  }
})

test('both READMEs list the same variables: those that matter most', (t) => {
  const listed = variablesIn('README.md')
  t.true(listed.length >= 12)
  t.deepEqual(variablesIn('README.ko.md'), listed)
})

function variablesIn(page: string): readonly string[] {
  const text = readFileSync(join(root, page), 'utf8')
  return [...text.matchAll(/^\| `([A-Z<][A-Z0-9_<>]+)` \|/gm)].map(([, name = '']) => name)
}
