import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { demoVariables } from '../../scripts/demo-settings.ts'
import { authVariables } from '../../services/auth/settings.ts'
import { runCommand } from '../../src/commands/run.ts'
import { documentSettings } from '../../src/config/setting-docs.ts'
import { discoverySources } from '../../src/discovery/sources/index.ts'
import { providerKinds } from '../../src/oauth/providers/index.ts'
import { markdownPages } from '../support/markdown.ts'
import { repositoryFiles } from '../support/repository-files.ts'

// What pages name in passing, and no link leads to, has to be there as well. The changelog tells of what was.

const pages = markdownPages().filter(({ name }) => name !== 'CHANGELOG.md')
const files = repositoryFiles()

/** Every find of the pattern's first group on any page, with where. */
function mentions(pattern: RegExp): readonly { readonly page: string; readonly what: string }[] {
  return pages.flatMap(({ name: page, text }) =>
    [...text.matchAll(pattern)].map(([, what = '']) => ({ page, what })),
  )
}

test('every file that a page names is there', (t) => {
  const roots = 'docs|src|scripts|services|test|bench|k8s|consul|compose|observability|examples'
  const found = mentions(new RegExp(`(?<![\\w./-])((?:${roots})/[\\w./*<>-]*[\\w*/])`, 'g'))
  t.true(found.length > 100)
  const missing = found.filter(({ page, what }) =>
    ['', 'src', dirname(page)].every((folder) => !isThere(join(folder, what))),
  )
  t.deepEqual(missing, [])
})

function isThere(path: string): boolean {
  if (existsSync(path)) return true
  const pattern = new RegExp(
    `^${path
      .split(/\*+|<[^>]*>/)
      .map(RegExp.escape)
      .join('.+')}`,
  )
  return /[*<]/.test(path) && files.some((name) => pattern.test(name))
}

test('every npm run that a page tells of is a script', (t) => {
  const found = mentions(/npm run (?:--?\w+ )*([a-z][\w:-]*)/g)
  t.true(found.length > 20)
  for (const { page, what } of found) {
    const packages = ['package.json', join(dirname(page), 'package.json'), 'examples/nextjs/package.json']
    const known = packages
      .filter((file) => existsSync(file))
      .flatMap((file) => Object.keys(JSON.parse(readFileSync(file, 'utf8')).scripts ?? {}))
    t.true(known.includes(what), `${page}: npm run ${what}`)
  }
})

test('every munjigi command that a page tells of is one', async (t) => {
  const usage: string[] = []
  const complain = (line: string) => void usage.push(line.trim())
  await runCommand([], { env: {}, cwd: '.', print: complain, complain })
  const known = usage.slice(1).map((line) => line.split(' ').slice(1))
  const found = mentions(
    /(?:npm run munjigi -- |npx munjigi |src\/munjigi\.ts |`munjigi (?![a-z ]*:))([a-z][a-z -]*[a-z])/g,
  )
  t.true(found.length > 10)
  for (const { page, what } of found) {
    const [command, action = ''] = what.split(' ')
    const forms = known.filter(([name]) => name === command)
    t.true(forms.length > 0, `${page}: munjigi ${what}`)
    if (command === 'keys' && action !== '')
      t.true(
        forms.some(([, name]) => name === action),
        `${page}: munjigi ${what}`,
      )
  }
})

const settings = documentSettings(discoverySources, providerKinds, {
  'The example service': authVariables,
  'The demo provider': demoVariables,
})

/** Names in capitals that nothing in this repository reads, and whose they are. */
const others: Readonly<Record<string, readonly string[]>> = {
  "Node's own": ['NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS'],
  "OpenTelemetry's, which the page says are not read": ['OTEL_EXPORTER_OTLP_CERTIFICATE', 'OTEL_PROPAGATORS'],
  "Docker Compose's and Vercel's": ['COMPOSE_PROFILES', 'VERCEL_URL'],
  "the kernel's": ['SO_REUSEPORT'],
}

/** What reads variables besides our programs. */
const readers = /^(?:docker-compose|Dockerfile|railway|compose\/|consul\/|k8s\/|examples\/|\.github\/|\.ci\/)/

test('every variable that a page names is read by something', (t) => {
  const elsewhere = files
    .filter((name) => readers.test(name) && !name.endsWith('.md'))
    .flatMap((name) => readFileSync(name, 'utf8').match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? [])
  const known = new Set([...settings.map(({ name }) => name), ...elsewhere, ...Object.values(others).flat()])
  const patterned = /^(?:[A-Z0-9]+_SERVICE_URL|OIDC_[A-Z]+_(?:ISSUER|CLIENT_ID|CLIENT_SECRET|SCOPE|TITLE))$/
  // What a command sets for the next one is the reader's own.
  const found = mentions(/(?<![\w<{$/.-])([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?=`|=(?!\$\())/g)
  t.true(found.length > 100)
  const unknown = found.filter(({ what }) => !known.has(what) && !patterned.test(what))
  t.deepEqual(unknown, [])
})
