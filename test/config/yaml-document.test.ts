import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import { LineCounter, parseDocument } from 'yaml'
import { parseDocumentInSteps } from '../../src/config/yaml-document.ts'
import { atOnce } from '../../src/slices.ts'
import { fullFile, mistyped, typos } from '../support/typos.ts'

const strange = [
  '',
  '\n',
  '# nothing\n',
  '%YAML 1.2\n',
  '%X',
  '---\n...\n',
  '\uFEFFa: 1',
  'a: 1\r\nb: |\r\n  x\r\n',
  '&a [*a]',
  '- ? x\n',
]
const several = ['a: 1\n---\nb: [\n', '---\n---\n---\n', 'a: 1\n...\nb: 2\n']

for (const [number, text] of [fullFile, ...typos.map(mistyped), ...strange, ...several].entries()) {
  test(`what is read in steps is what the library reads at once, text ${number}`, (t) => {
    const [lines, expectedLines] = [new LineCounter(), new LineCounter()]
    const options = {
      lineCounter: expectedLines,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'error',
    } as const
    const document = atOnce(parseDocumentInSteps(text, lines))
    const expected = parseDocument(text, options)
    t.deepEqual(lines.lineStarts, expectedLines.lineStarts)
    t.deepEqual(
      [...document.errors, ...document.warnings].map(({ code, pos }) => ({ code, pos })),
      [...expected.errors, ...expected.warnings].map(({ code, pos }) => ({ code, pos })),
    )
    t.deepEqual(document.range, expected.range)
    t.true(isDeepStrictEqual(document.contents, expected.contents))
  })
}
