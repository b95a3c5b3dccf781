import { existsSync, readFileSync } from 'node:fs'
import test from 'ava'

const page = readFileSync('docs/security.md', 'utf8')
const threats = page.slice(page.indexOf('## Threats'), page.indexOf('## What it does not do'))
const rows = threats.split('\n').filter((line) => /^\| (?!threat |---)/.test(line))

/** Each file of the row, and each title that stands behind it in “ ”. */
function proofsIn(row: string): { file: string; title: string }[] {
  return [...row.matchAll(/`(test\/[\w/.-]+\.ts)` “([^”]+)”/g)].map(([, file = '', title = '']) => ({
    file,
    title,
  }))
}

/** A title as it may stand in the source: a string of its own, whichever quotes it is in. */
const isIn = (source: string, title: string) => ["'", '"', '`'].some((q) => source.includes(q + title + q))

test('every threat names what is done, what shows it, and what is left to the operator', (t) => {
  t.true(rows.length >= 25)
  for (const row of rows) {
    const cells = row.split(' | ')
    t.is(cells.length, 4, row)
    for (const cell of cells) t.regex(cell, /\w/, row)
    t.true(proofsIn(row).length > 0, `${row}: no test`)
  }
})

test('every test that the threat table names exists under that very title', (t) => {
  for (const { file, title } of rows.flatMap(proofsIn)) {
    if (!existsSync(file)) t.fail(`docs/security.md: there is no ${file}`)
    else t.true(isIn(readFileSync(file, 'utf8'), title), `docs/security.md: ${file} has no “${title}”`)
  }
})

test('nothing in the table passes for a test that is not looked up', (t) => {
  const files = threats.match(/`test\/[^`]*`/g) ?? []
  t.is(files.length, rows.flatMap(proofsIn).length)
})

test('each risk of the OWASP API Security Top 10 has its row', (t) => {
  for (let risk = 1; risk <= 10; risk++) {
    t.is(rows.filter((row) => row.includes(`**API${risk}**`)).length, 1, `API${risk}`)
  }
})
