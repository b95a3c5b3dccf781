import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { rows } from './rows.ts'

const ids = Object.keys(rows)

test('every row has one test', (t) => {
  const folder = import.meta.dirname
  const sources = readdirSync(folder)
    .filter((name) => name.endsWith('.test.ts') && name !== 'table.test.ts')
    .map((name) => readFileSync(join(folder, name), 'utf8'))
  const tested = sources.flatMap((source) =>
    [...source.matchAll(/^row\(\s*'([\w-]+)'/gm)].map(([, id]) => id),
  )
  t.deepEqual(tested.toSorted(), ids.toSorted())
})

test('docs/failures.md has every row as it is, and all of them were held when it was written', (t) => {
  const text = readFileSync('docs/failures.md', 'utf8')
  for (const [id, { failure, promise }] of Object.entries(rows)) {
    t.true(text.includes(`| ${failure} | ${promise} | \`npm run failures -- ${id}\` | `), id)
  }
  t.notRegex(text, /\*\*not held\*\*/)
})
