import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import test from 'ava'
import { anchorsOf, linksOf, markdownPages, type Page } from '../support/markdown.ts'

const pages = markdownPages()
const byName = new Map(pages.map((page) => [page.name, page]))

test('every relative link and image of every page leads somewhere, and every anchor is a heading there', (t) => {
  let count = 0
  const dead: string[] = []
  for (const page of pages) {
    for (const link of linksOf(page)) {
      if (/^[a-z][a-z+.-]*:/i.test(link)) continue
      count += 1
      const complaint = complaintOf(page, link)
      if (complaint !== undefined) dead.push(`${page.name}: ${link}: ${complaint}`)
    }
  }
  t.deepEqual(dead, [])
  t.true(count > 100, `${count} links`)
})

test('every page of docs is in the index, and the index in the README', (t) => {
  const index = byName.get('docs/README.md')
  const listed = linksOf(index ?? { name: '', text: '', prose: '' }).map((link) => join('docs', link))
  const missing = pages
    .map(({ name }) => name)
    .filter((name) => /^docs\/[^/]+\.md$/.test(name) && name !== 'docs/README.md' && !listed.includes(name))
  t.deepEqual(missing, [])
  for (const name of ['README.md', 'README.ko.md']) {
    const readme = byName.get(name)
    t.true(readme !== undefined && linksOf(readme).includes('docs/README.md'), name)
  }
})

function complaintOf({ name }: Page, link: string): string | undefined {
  const [path = '', anchor] = decodeURI(link).split('#')
  const target = path === '' ? name : normalize(join(dirname(name), path)).replace(/\/$/, '')
  if (!existsSync(target)) return 'no such file'
  const there = byName.get(target)
  if (anchor === undefined || there === undefined) return undefined
  return anchorsOf(there).has(anchor) ? undefined : `no such heading in ${target}`
}
