import test from 'ava'
import { parseStrictJson } from '../../src/tokens/strict-json.ts'

test('JSON is read as JSON.parse reads it', (t) => {
  for (const text of ['{"a":[1,{"a":2}],"b":{"a":"\\"a\\":{"}}', '[]', ' "te:xt" ', 'null', '{"":{"":{}}}']) {
    t.deepEqual(parseStrictJson(text), { value: JSON.parse(text) })
  }
})

test('a name that comes twice in one object is a fault, however it is written', (t) => {
  for (const text of [
    '{"a":1,"a":1}',
    '[{"b":{"a":1,"\\u0061":2}}]',
    '{"a":{"b":[]},"a":1}',
    '{"":1,"":2}',
  ]) {
    t.is(parseStrictJson(text).fault, 'a name comes twice in one object', text)
  }
})

test('nesting beyond 32 levels is a fault, however deep', (t) => {
  const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`
  t.is(parseStrictJson(nested(32)).fault, undefined)
  for (const levels of [33, 30_000]) t.is(parseStrictJson(nested(levels)).fault, 'more than 32 levels deep')
})

test('malformed JSON is a fault, and nothing of it is shown', (t) => {
  for (const text of ['{', 'secret', '{"a":1}}', "{'a':1}", '{"a":1,}', '\ufeff{}']) {
    t.is(parseStrictJson(text).fault, 'malformed JSON', text)
  }
})
