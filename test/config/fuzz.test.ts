// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholders of gateway.yaml look like that
import test from 'ava'
import { ConfigError } from '../../src/config/fault.ts'
import { parseGatewayFile } from '../../src/config/gateway-file.ts'
import { atOnce } from '../../src/slices.ts'
import { load } from '../support/config.ts'

/** Numbers in [0, 1) that only depend on the seed (mulberry32), so that a failure can be repeated. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const pieces = [
  ...'{}[]:,-?!&*#|>%@`\'"\\~ \n\t\0\u{1F600}\uE000\uE001\uE002',
  ...[
    '\n  ',
    '\n    ',
    ': ',
    '- ',
    '---\n',
    '...',
    '${',
    '$${',
    '${HOME}',
    '&a ',
    '*a',
    '<<',
    '!!binary ',
    '? ',
  ],
  ...['services', 'auth', 'path', 'urls', 'scope', 'timeout', '__proto__', 'constructor', 'toString', '/api'],
  ...['http://a:1', 'null', 'true', '1e999', '.nan', '0x10', '2001-01-01', '[', '{', 'a', '9'],
]

test('garbage is a fault or is read, and nothing else', (t) => {
  const random = seeded(7)
  for (let round = 0; round < 4000; round++) {
    const length = Math.floor(random() * 40)
    const garbage = Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)]).join('')
    const text = random() < 0.5 ? garbage : `services:\n  auth:\n    path: /a\n    ${garbage}`
    try {
      const { faults } = atOnce(parseGatewayFile('gateway.yaml', text, { HOME: '/home' }))
      for (const { place, found, expected } of faults) {
        if (!('line' in place) || place.line < 1 || place.column < 1 || !found || !expected) {
          t.fail(`a fault without its place or words in ${JSON.stringify(text)}`)
        }
      }
    } catch (error) {
      t.fail(`${JSON.stringify(text)} → ${error}`)
    }
  }
  t.pass()
})

test('whatever the file holds, loading it ends in a Config or a ConfigError', (t) => {
  const random = seeded(11)
  for (let round = 0; round < 100; round++) {
    const yaml = Buffer.from(Array.from({ length: 60 }, () => Math.floor(random() * (round % 2 ? 128 : 256))))
    try {
      load(t, { yaml })
    } catch (error) {
      if (!(error instanceof ConfigError)) t.fail(`${yaml.toString('hex')} → ${error}`)
    }
  }
  t.pass()
})

test('lists nested without end are a fault', (t) => {
  t.true(atOnce(parseGatewayFile('gateway.yaml', '['.repeat(50_000), {})).faults.length > 0)
  t.true(atOnce(parseGatewayFile('gateway.yaml', `${'['.repeat(60)}${']'.repeat(60)}`, {})).faults.length > 0)
})
