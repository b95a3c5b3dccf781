import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import test from 'ava'
import { releaseNotes } from '../../scripts/release-notes.ts'

const run = promisify(execFile)
const real = readFileSync('CHANGELOG.md', 'utf8')
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

const changelog = `# Changelog

## Unreleased

### Added
- Not yet.

## [1.10.0] - 2026-11-30

### Fixed
- The tenth.

## 1.1.0 - 2026-10-01

### Added
- The first,
  in two lines.

[1.10.0]: https://example.com/compare
`

test("a release's notes are its section of the changelog, and nothing of its neighbours", (t) => {
  t.is(releaseNotes({ tag: 'v1.10.0', version: '1.10.0', changelog }), '### Fixed\n- The tenth.')
  t.is(
    releaseNotes({ tag: 'v1.1.0', version: '1.1.0', changelog: changelog.replaceAll('\n', '\r\n') }),
    '### Added\n- The first,\n  in two lines.',
  )
})

const refused = {
  'a tag of another version': [{ tag: 'v1.1.0', version: '1.10.0' }, /the tag is v1\.1\.0, .* 1\.10\.0/],
  'a tag without its v': [{ tag: '1.1.0', version: '1.1.0' }, /the tag is 1\.1\.0/],
  'a version that the changelog has no section for': [
    { tag: 'v1.1', version: '1.1' },
    /no section "## 1\.1 /,
  ],
  'a pre-release that has none of its own': [
    { tag: 'v1.1.0-rc.1', version: '1.1.0-rc.1' },
    /no section "## 1\.1\.0-rc\.1 /,
  ],
} as const
for (const [what, [release, complaint]] of Object.entries(refused)) {
  test(`refused: ${what}`, (t) => {
    t.throws(() => releaseNotes({ ...release, changelog }), { message: complaint })
  })
}

test('refused: a section without a date, and one that tells nothing', (t) => {
  const of = (text: string) => () => releaseNotes({ tag: 'v2.0.0', version: '2.0.0', changelog: text })
  t.throws(of('## 2.0.0\n\n- It.\n'), { message: /has no date/ })
  t.throws(of('## 2.0.0 - soon\n\n- It.\n'), { message: /has no date/ })
  t.throws(of('## 2.0.0 - 2026-11-30\n\n### Added\n\n## 1.0.0 - 2026-01-01\n- It.\n'), {
    message: /tells nothing of 2\.0\.0/,
  })
})

test('what stands in our changelog as unreleased becomes the notes of the next version, all of it', (t) => {
  const cut = real.replace('## Unreleased\n', '## Unreleased\n\n## 99.0.0 - 2026-12-01\n')
  const notes = releaseNotes({ tag: 'v99.0.0', version: '99.0.0', changelog: cut })
  const [, unreleased = ''] = /^## Unreleased\n([\s\S]*?)(?=^## |$(?![\s\S]))/m.exec(real) ?? []
  t.is(notes, unreleased.trim())
})

test('our changelog has the form of Keep a Changelog: unreleased first, then dated versions, the newest first', (t) => {
  const [first, ...versions] = [...real.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading!)
  t.is(first, 'Unreleased')
  const dated = versions.map(
    (heading) => /^\d+\.\d+\.\d+(?:-[\w.]+)? - (\d{4}-\d{2}-\d{2})$/.exec(heading)?.[1],
  )
  t.false(dated.includes(undefined), versions.join(', '))
  t.deepEqual(dated, dated.toSorted().reverse())
  const kinds = new Set([...real.matchAll(/^### (.*)$/gm)].map(([, kind]) => kind!))
  const known = new Set(['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'])
  t.deepEqual([...kinds.difference(known)], [])
})

test('as a command it exits 1 with one line that says what does not fit', async (t) => {
  const refusal = await t.throwsAsync(run(process.execPath, ['scripts/release-notes.ts', 'v99.0.0']))
  t.like(refusal, {
    code: 1,
    stdout: '',
    stderr: `the tag is v99.0.0, but package.json has version ${version}\n`,
  })
})

test('the overlay production names the images of this version', (t) => {
  const overlay = readFileSync('k8s/overlays/production/kustomization.yaml', 'utf8')
  const tags = [...overlay.matchAll(/newTag: *"?([^"\s]+)/g)].map(([, tag]) => tag)
  t.deepEqual(tags, [version, version])
})
