import test from 'ava'
import { createPieces } from '../../src/observability/log-output.ts'

function piecesOf(mostBytes: number) {
  const put: Buffer[] = []
  return { put, ...createPieces(mostBytes, (bytes) => put.push(bytes)) }
}

test('a piece has whole lines, as many as fit', (t) => {
  const { put, add, handOn } = piecesOf(16)
  for (const line of ['one\n', 'two\n', 'three\n', 'fo\n', 'five\n']) add(line)
  t.deepEqual(put.map(String), ['one\ntwo\nthree\n'])
  handOn()
  t.deepEqual(put.map(String), ['one\ntwo\nthree\n', 'fo\nfive\n'])
  handOn()
  t.is(put.length, 2, 'nothing is handed on twice, or where there is nothing')
})

test('a piece that was handed on does not change when further lines come', (t) => {
  const { put, add, handOn } = piecesOf(16)
  add('one\n')
  handOn()
  add('two\n')
  t.is(String(put[0]), 'one\n')
})

test('a line that is longer than a piece stands alone, and in its place', (t) => {
  const { put, add, handOn } = piecesOf(8)
  for (const line of ['a\n', `${'b'.repeat(20)}\n`, 'c\n']) add(line)
  handOn()
  t.deepEqual(put.map(String), ['a\n', `${'b'.repeat(20)}\n`, 'c\n'])
})

test('no line is lost or torn, whatever characters it has', (t) => {
  const most = 64
  const { put, add, handOn } = piecesOf(most)
  const characters = ['x', 'é', '\u20ac', '\u{1f600}', '\ud800']
  const lines = Array.from({ length: 2000 }, (_, i) => `${characters[i % 5]!.repeat((i * 7) % 31)}\n`)
  for (const line of lines) add(line)
  handOn()
  t.is(Buffer.concat(put).toString(), lines.map((line) => line.toWellFormed()).join(''))
  for (const piece of put) {
    t.is(piece.at(-1), 10)
    t.true(piece.length <= most || piece.indexOf(10) === piece.length - 1)
  }
  t.true(put.length < lines.length)
})
