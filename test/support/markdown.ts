import { readFileSync } from 'node:fs'
import { repositoryFiles } from './repository-files.ts'

export interface Page {
  /** From the repository's root. */
  readonly name: string
  readonly text: string
  /** The same, without fenced blocks and comments. */
  readonly prose: string
}

/** Every page of the repository. */
export function markdownPages(): readonly Page[] {
  return repositoryFiles()
    .filter((name) => name.endsWith('.md'))
    .map((name) => {
      const text = readFileSync(name, 'utf8')
      return { name, text, prose: proseOf(text) }
    })
}

function proseOf(text: string): string {
  return text.replace(/^( *)```[\s\S]*?^\1```/gm, '').replace(/<!--[\s\S]*?-->/g, '')
}

/** Links and images, and where they lead; those within code are none. */
export function linksOf({ prose }: Page): readonly string[] {
  const text = prose.replace(/`[^`\n]*`/g, 'code')
  const inline = [...text.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)].map(([, to = '']) => to)
  const named = [...text.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm)].map(([, to = '']) => to)
  return [...inline, ...named]
}

/** Names that a page's headings can be linked by, as GitHub makes them. */
export function anchorsOf({ prose }: Page): ReadonlySet<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of prose.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '')
    const slug = plain
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}\s_-]/gu, '')
      .replace(/ /g, '-')
    let unique = slug
    for (let n = 1; anchors.has(unique); n++) unique = `${slug}-${n}`
    anchors.add(unique)
  }
  for (const [, id = ''] of prose.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id)
  return anchors
}
