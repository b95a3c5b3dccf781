import { readFileSync } from 'node:fs'

export interface Release {
  /** As git has it, such as v1.2.3. */
  readonly tag: string
  /** What package.json says. */
  readonly version: string
  /** The whole of CHANGELOG.md. */
  readonly changelog: string
}

/**
 * The part of the changelog that tells of a release, without its heading.
 *
 * @throws Error where the tag is not of this version, or the changelog has no dated section for it, or an empty one
 */
export function releaseNotes({ tag, version, changelog }: Release): string {
  if (tag !== `v${version}`) throw new Error(`the tag is ${tag}, but package.json has version ${version}`)
  const lines = changelog.split(/\r?\n/)
  const start = lines.findIndex((line) => headingVersion(line) === version)
  if (start === -1) throw new Error(`CHANGELOG.md has no section "## ${version} - <date>"`)
  if (!/ - \d{4}-\d{2}-\d{2}$/.test(lines[start]!.trimEnd()))
    throw new Error(`CHANGELOG.md: "${lines[start]}" has no date such as " - 2026-11-30"`)
  const after = lines.slice(start + 1)
  const end = after.findIndex((line) => line.startsWith('## ') || /^\[[^\]]+\]: \S/.test(line))
  const notes = (end === -1 ? after : after.slice(0, end)).join('\n').trim()
  if (!/^\s*- \S/m.test(notes)) throw new Error(`CHANGELOG.md tells nothing of ${version}`)
  return notes
}

/** Of `## 1.2.3 - 2026-11-30` and `## [1.2.3] - 2026-11-30`; undefined of any other line. */
function headingVersion(line: string): string | undefined {
  return /^## \[?(\d[^\]\s]*)\]?(?:\s|$)/.exec(line)?.[1]
}

if (import.meta.main) {
  try {
    const [tag] = process.argv.slice(2)
    if (tag === undefined) throw new Error('node scripts/release-notes.ts <tag>')
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    console.log(releaseNotes({ tag, version, changelog: readFileSync('CHANGELOG.md', 'utf8') }))
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  }
}
