import test from 'ava'
import { keyPathByIndent } from '../../src/config/key-path.ts'

const lines = [
  'services:',
  '  auth:',
  '    urls: [http://a:1,',
  '      http://b:1]',
  '    path:',
  '      - /a',
  '\tstrip: /a',
  '  carts: # theirs',
  '\tpath: /carts',
]
const text = lines.join('\n')

for (const [line, path] of [
  [1, 'services'],
  [2, 'services.auth'],
  [3, 'services.auth.urls'],
  [4, 'services.auth.urls'],
  [6, 'services.auth.path'],
  [8, 'services.carts'],
  [9, 'services.carts.path'],
] as const) {
  test(`to line ${line}, ${JSON.stringify(lines[line - 1])}, leads ${path}`, (t) => {
    t.is(keyPathByIndent(text, line), path)
  })
}

test('no key leads to the first line of a text without one', (t) => {
  t.is(keyPathByIndent('[', 1), '')
  t.is(keyPathByIndent('', 1), '')
})
