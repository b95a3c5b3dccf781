import { Composer, type Document, Lexer, type LineCounter, Parser, YAMLParseError } from 'yaml'
import type { Steps } from '../slices.ts'

/** So many are read in well under a millisecond. */
const lexemesInAStep = 200

/**
 * What `parseDocument` of yaml does, in steps: lexing and parsing take the greater part of the time, composing is one
 * step. Faults are the document's.
 */
export function* parseDocumentInSteps(text: string, lines: LineCounter): Steps<Document> {
  const parser = new Parser(lines.addNewLine)
  // Keys that come twice are told by ours, with their path and the line of the first.
  const composer = new Composer({ uniqueKeys: false, logLevel: 'error' })
  const documents: Document[] = []
  let count = 0
  lines.addNewLine(0)
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) documents.push(...composer.next(token))
    count += 1
    if (count % lexemesInAStep === 0) yield
  }
  yield
  for (const token of parser.end()) documents.push(...composer.next(token))
  documents.push(...composer.end(true, text.length))
  const [document, another] = documents
  if (another !== undefined) {
    const [start, end] = another.range!
    const message = 'Source contains multiple documents'
    document!.errors.push(new YAMLParseError([start, end], 'MULTIPLE_DOCS', message))
  }
  return document!
}
