import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { parse } from 'yaml'

const pages = ['CONTRIBUTING.md', 'SECURITY.md', 'CODE_OF_CONDUCT.md', 'CHANGELOG.md'] as const
const read = (file: string): string => readFileSync(file, 'utf8')
const { scripts } = JSON.parse(read('package.json')) as { scripts: Readonly<Record<string, string>> }

for (const page of pages) {
  test(`what ${page} links to and the scripts that it names are there`, (t) => {
    const text = read(page)
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#\s]+)/g))
      t.true(existsSync(join(dirname(page), target!)), target)
    for (const [, name] of text.matchAll(/npm run ([\w:-]+)/g)) t.truthy(scripts[name!], name)
    t.pass()
  })
}

test('the files that CONTRIBUTING.md and SECURITY.md tell of are there', (t) => {
  // `src/discovery/sources/`, .ci/run, test/cache/policy.test.ts: in backticks, or handed to a command.
  const paths = [read('CONTRIBUTING.md'), read('SECURITY.md')].flatMap((text) =>
    [
      ...text.matchAll(
        /(?<=[`\s])\.?(?:src|test|docs|bench|k8s|scripts|services|examples|ci|github)\/[\w./-]*[\w/]/g,
      ),
    ].map(([path]) => path),
  )
  t.true(paths.length > 15)
  for (const path of new Set(paths)) t.not(globSync(path).length, 0, path)
})

test('issue forms have what GitHub asks of them', (t) => {
  const folder = '.github/ISSUE_TEMPLATE'
  const forms = readdirSync(folder).filter((name) => name !== 'config.yml')
  t.true(forms.length > 0)
  for (const file of forms) {
    const form = parse(read(join(folder, file))) as {
      readonly name: string
      readonly description: string
      readonly body: readonly {
        readonly type: string
        readonly id?: string
        readonly attributes: { readonly label?: string; readonly value?: string; readonly options?: string[] }
      }[]
    }
    t.truthy(form.name && form.description, file)
    const ids = form.body.flatMap(({ id }) => id ?? [])
    t.is(new Set(ids).size, ids.length, file)
    for (const { type, attributes } of form.body) {
      t.true(['markdown', 'input', 'textarea', 'dropdown', 'checkboxes'].includes(type), `${file}: ${type}`)
      t.truthy(type === 'markdown' ? attributes.value : attributes.label, `${file}: ${type}`)
      if (type === 'dropdown')
        t.true((attributes.options ?? []).every((option) => typeof option === 'string'))
    }
    t.true(form.body.some(({ type }) => type !== 'markdown'))
  }
})
