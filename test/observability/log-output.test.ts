import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
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

test('for a reader who has stopped no more waits than is allowed, and what is dropped is counted', async (t) => {
  const module = new URL('../../src/observability/log-output.ts', import.meta.url).href
  const program = `
    const { createLogOutput } = await import('${module}')
    const output = createLogOutput(true, 100_000)
    for (let i = 0; i < 5000; i += 1) output.write(String(i).padStart(99, '0') + '\\n')
    process.stderr.write(String(output.droppedBytes()))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  const dropped = Number(await text(child.stderr))
  t.true(dropped >= 300_000 && dropped < 500_000, `${dropped}`)
  // From here on it is read again: what waited is there, in order, and whole.
  const lines = (await text(child.stdout)).trimEnd().split('\n').map(Number)
  await exited
  t.is(lines.length * 100 + dropped, 500_000)
  t.deepEqual(
    lines,
    lines.toSorted((a, b) => a - b),
  )
  t.is(lines[0], 0)
})
