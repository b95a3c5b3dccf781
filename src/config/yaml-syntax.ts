import { type Document, visit, type YAMLError } from 'yaml'
import type { Fault, FilePlace } from './fault.ts'
import { keyPathByIndent } from './key-path.ts'
import { showPlaceholders } from './placeholders.ts'

/** What is wrong with a text that is not YAML: one fault a line, in order, each where its author has to look. */
export function syntaxFaults(
  document: Document,
  text: string,
  placeAt: (offset: number, key?: string) => FilePlace,
): readonly Fault[] {
  const byLine = new Map<number, Fault>()
  for (const problem of [...document.errors, ...document.warnings]) {
    const offset = whereToLook(problem, document, text)
    const { line } = placeAt(offset)
    if (byLine.has(line)) continue
    const place = placeAt(offset, keyPathByIndent(text, line))
    const found = showPlaceholders(problem.message).replace(/\s+/g, ' ').slice(0, 200)
    byLine.set(line, { place, found: `an error (${found})`, expected: 'valid YAML' })
  }
  return [...byLine].sort(([a], [b]) => a - b).map(([, fault]) => fault)
}

/** The parser says where it gave up; that may be after what is wrong, or before. */
function whereToLook({ code, message, pos: [at] }: YAMLError, document: Document, text: string): number {
  if (/closing .quote/.test(message)) return lastQuote(document) ?? at
  // A line that is too far in is read as going on with the value of the line above, where a key cannot be.
  if (code === 'BLOCK_AS_IMPLICIT_KEY' || code === 'MULTILINE_IMPLICIT_KEY') {
    const [, above = '', below = ''] = /([^\n]*)\n([^\n]*)/.exec(text.slice(lineStart(text, at))) ?? []
    if (/^\s*[^\s#]/.test(below) && indentOf(below) > indentOf(above)) {
      return lineStart(text, at) + above.length + 1 + indentOf(below)
    }
  }
  return at
}

function lastQuote(document: Document): number | undefined {
  let offset: number | undefined
  visit(document, {
    Scalar(_, { type, range }) {
      if (type?.startsWith('QUOTE_')) offset = range?.[0] ?? offset
    },
  })
  return offset
}

const lineStart = (text: string, offset: number) => text.lastIndexOf('\n', offset - 1) + 1

const indentOf = (line: string) => /^\s*/.exec(line)![0].length
