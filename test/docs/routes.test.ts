import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { parse } from 'yaml'
import { readTags } from '../../src/discovery/consul/tags.ts'
import { type Description, descriptionSchema } from '../../src/discovery/description.ts'
import { createDrafting } from '../../src/discovery/draft.ts'
import { readAnnotations } from '../../src/discovery/kubernetes/annotations.ts'
import { operatorsWords } from '../../src/discovery/side-traffic.ts'
import { load } from '../support/config.ts'

// The examples of docs/routes.md, and the spellings of docs/configuration.md, read by those who read the real ones.

const prefix = 'gateway.jinmini.com/'
const page = readFileSync('docs/routes.md', 'utf8')
const examples = page.split(/^## /m).flatMap((section) => {
  const [gatewayYaml, kubernetes, consul] = ['gateway.yaml', 'Kubernetes', 'Consul'].map(
    (where) => new RegExp(`^<!-- ${where} -->\\n\`\`\`\\w+\\n([\\s\\S]*?)^\`\`\``, 'm').exec(section)?.[1],
  )
  const title = section.split('\n')[0] ?? ''
  return gatewayYaml && kubernetes && consul ? [{ title, gatewayYaml, kubernetes, consul }] : []
})

for (const { title, gatewayYaml, kubernetes, consul } of examples) {
  test(`said in three places it is one route: ${title}`, (t) => {
    const [name, ofFile] = inFile(t, gatewayYaml)
    const { metadata } = parse(kubernetes)
    const service = JSON.parse(consul)
    t.is(metadata.name, name)
    t.is(service.name, name)
    const routes = routesOf(t, name, ofFile)
    t.true(routes.length > 0)
    t.deepEqual(routesOf(t, name, annotated(t, metadata.annotations)), routes)
    t.deepEqual(routesOf(t, name, tagged(t, service.tags)), routes)
    // A route does not show which port its instances are asked at.
    t.deepEqual(annotated(t, metadata.annotations), ofFile)
    t.deepEqual(tagged(t, service.tags), ofFile)
  })
}

test('every key that a service may say is in an example, and every key there is in the table', (t) => {
  const keys = Object.keys(descriptionSchema.shape)
  const table = page.slice(page.indexOf('| key | default | meaning |'))
  const [operators, services] = [true, false].map((own) =>
    keys.filter((key) => operatorsWords.some((word) => word === key) === own),
  )
  t.is(examples.length, 6)
  for (const key of services ?? [])
    t.true(
      examples.some(({ consul }) => consul.includes(`gateway.${key}=`)),
      key,
    )
  for (const key of operators ?? []) t.regex(page, new RegExp(` ${key}: `))
  for (const key of keys) t.regex(table, new RegExp(`^\\|.*\`${key}\`.*\\|`, 'm'))
})

test('what the operator alone may say is read as it stands there', (t) => {
  const [, yaml = ''] = /^<!-- gateway\.yaml alone -->\n```yaml\n([\s\S]*?)^```/m.exec(page) ?? []
  const { services } = load(t, { yaml })
  t.deepEqual([...services.keys()], ['users', 'users-next', 'users-shadow'])
})

test('the three spellings of each key in docs/configuration.md mean the same', (t) => {
  const rows = rowsOfKeys()
  t.deepEqual(
    rows.map(({ key }) => key),
    Object.keys(descriptionSchema.shape),
  )
  for (const { key, tags, annotation, yaml } of rows) {
    const [, ofFile] = inFile(t, `services:\n  users:\n    ${yaml}\n`)
    t.true(key in ofFile, key)
    if (tags.length === 0) continue
    t.deepEqual(tagged(t, tags, false), ofFile, key)
    t.deepEqual(annotated(t, { [`${prefix}${key}`]: parse(annotation)[key] }), ofFile, key)
  }
})

test('the default of a key in docs/configuration.md is what holds where the key is not said', (t) => {
  const literal = rowsOfKeys().filter((row) => /^`[^`<]+`$/.test(row.whenAbsent))
  t.true(literal.length >= 15)
  // Without it no request waits, and how many may is nobody's concern.
  const limited = 'concurrency: 1'
  for (const { key, whenAbsent } of literal) {
    const said = `${key}: ${whenAbsent.slice(1, -1)}`
    const [silent, spoken] = [[limited], [limited, said]].map((words) => {
      const [name, description] = inFile(t, `services: { users: { enable: true, ${words.join(', ')} } }`)
      return routesOf(t, name, description)
    })
    t.deepEqual(spoken, silent, said)
  }
})

test('the keys of gateway.yaml beyond those are shown as they are read', (t) => {
  const reference = readFileSync('docs/configuration.md', 'utf8')
  const [, urls = ''] = /`(urls: [^`]+)`/.exec(reference) ?? []
  const config = load(t, { yaml: `services:\n  users:\n    ${urls}\n` })
  t.deepEqual([...config.services.keys()], ['users'])
  t.regex(inspect(config, { depth: null }), /http:\/\/a:8000/)
})

function rowsOfKeys() {
  const reference = readFileSync('docs/configuration.md', 'utf8')
  const [, table = ''] = /<!-- route keys:.*-->\n([\s\S]*?)<!-- \/route keys -->/.exec(reference) ?? []
  return table.split('\n').slice(2, -1).map(readRow)
}

function readRow(row: string) {
  const cells = row.split(/(?<!\\)\|/).map((cell) => cell.trim())
  const code = (cell = '') => [...cell.matchAll(/`([^`]*)`/g)].map(([, text = '']) => text)
  const [key = '', tags = [], [annotation = ''] = [], [yaml = ''] = []] = [
    code(cells[1])[0],
    code(cells[2]),
    code(cells[3]),
    code(cells[4]),
  ]
  return { key, tags, annotation, yaml, whenAbsent: cells[5] ?? '' }
}

function inFile(t: ExecutionContext, yaml: string): readonly [string, Description] {
  const [service] = load(t, { yaml }).services
  if (service === undefined) throw new Error(`no service in ${yaml}`)
  return service
}

function annotated(t: ExecutionContext, annotations: Readonly<Record<string, string>>): Description {
  const own = Object.entries(annotations).map(([name, value]) => {
    t.true(name.startsWith(prefix) && typeof value === 'string', `${name} is a text under our prefix`)
    return [name.slice(prefix.length), value]
  })
  const { description, faults } = readAnnotations(Object.fromEntries(own), prefix)
  t.deepEqual(faults, [])
  return description ?? {}
}

function tagged(t: ExecutionContext, tags: readonly string[], opensUp = true): Description {
  const { enabled, description, faults } = readTags(tags)
  t.deepEqual(faults, [])
  if (opensUp) t.true(enabled)
  return description ?? {}
}

function routesOf(t: ExecutionContext, name: string, description: Description) {
  const draft = createDrafting(() => false)
  const { routes, problems } = draft({ name, instances: [], description }, undefined)
  t.deepEqual(problems, [])
  return routes
}
