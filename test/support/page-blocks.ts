import { readFileSync } from 'node:fs'

/** A fenced block of commands of a page, with what the page says comes of it. */
export interface CommandBlock {
  readonly page: string
  readonly line: number
  /** As it stands in the page. */
  readonly commands: string
  /** What standard output is to be; undefined where the page shows none. */
  readonly expected: string | undefined
  /** It goes on: the page gives it a terminal of its own, of this name. */
  readonly keepsRunning?: string
  /** Why it is not run. */
  readonly notRun?: string
  /** What it tells comes true in moments: it is asked again until then. */
  readonly soon: boolean
  readonly needsConsul: boolean
  /** What terminals that go on have printed by now, as the page shows it after this block. */
  readonly printed: readonly { readonly by: string; readonly text: string }[]
}

type Draft = { -readonly [Key in keyof CommandBlock]: CommandBlock[Key] }

const fence = /^(\s*)```(\S*)\s*$/

/**
 * The ```sh blocks of a page, in order. What is to be known beyond them stands in a comment in front of a block,
 * which readers do not see; several are separated by commas:
 *
 * - `<!-- keeps running: <name> -->` it does not end, and later blocks run beside it
 * - `<!-- printed by: <name> -->` what follows is not the output of the block above but of that one which goes on
 * - `<!-- soon -->` what it tells comes true in moments
 * - `<!-- needs Consul -->` it asks an agent, and is left out where none can be had
 * - `<!-- not run: <why> -->`
 *
 * A block without a language that follows is what they print. `…` stands there for anything within a line, and on a
 * line of its own for any lines; times such as `1.4 ms` may be others. What goes on may print other lines between.
 */
export function commandBlocks(page: string): readonly CommandBlock[] {
  const lines = readFileSync(page, 'utf8').split('\n')
  const blocks: Draft[] = []
  let said = ''
  let last: Draft | undefined
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? ''
    if (line.startsWith('#')) last = undefined
    const [, comment] = /^<!-- (.*) -->$/.exec(line) ?? []
    if (comment !== undefined) said = comment
    const [, indent = '', language] = fence.exec(line) ?? []
    if (language === undefined) {
      if (comment === undefined && line.trim() !== '') said = ''
      continue
    }
    const from = at + 1
    at = lines.indexOf(`${indent}\`\`\``, from)
    if (at < 0) throw new Error(`${page}:${from}: the block has no end`)
    const text = lines.slice(from, at).join('\n')
    if (language === 'sh') {
      last = { page, line: from, commands: text, expected: undefined, ...read(said) }
      blocks.push(last)
    } else if (language === '' && last !== undefined) addOutput(last, text, said)
    said = ''
  }
  return blocks
}

function addOutput(block: Draft, text: string, said: string): void {
  const [, by] = /^printed by: (.+)$/.exec(said) ?? []
  if (by !== undefined) block.printed = [...block.printed, { by, text }]
  else block.expected ??= text
}

function read(said: string): Omit<Draft, 'page' | 'line' | 'commands' | 'expected'> {
  const [, notRun] = /^not run: (.+)$/.exec(said) ?? []
  const words = notRun === undefined ? said.split(', ') : []
  const [, keepsRunning] = /^keeps running: ([^,]+)/.exec(said) ?? []
  return {
    ...(notRun !== undefined && { notRun }),
    ...(keepsRunning !== undefined && { keepsRunning }),
    soon: words.includes('soon'),
    needsConsul: words.includes('needs Consul'),
    printed: [],
  }
}

const anyLines = '(?:[^\\n]*\\n)*?'

/**
 * What output has to match, wherever in it that begins.
 *
 * @param between what may stand between two lines: nothing, or what something that goes on tells besides
 */
export function outputPattern(expected: string, between: 'nothing' | 'other lines' = 'nothing'): RegExp {
  const lines = expected
    .split('\n')
    .map((line) => (line === '…' ? anyLines : `${varying(line).join('')}(?:\\n|$)`))
  return new RegExp(`(?:^|\\n)${lines.join(between === 'nothing' ? '' : anyLines)}`)
}

function varying(line: string): readonly string[] {
  return line.split(/(…|\d+(?:\.\d+)? ms\b)/).map((part, index) => {
    if (index % 2 === 0) return RegExp.escape(part)
    return part === '…' ? '[^\\n]*' : '[\\d.]+ ms'
  })
}
