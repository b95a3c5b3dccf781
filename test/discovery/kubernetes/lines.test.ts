import test from 'ava'
import { readLines } from '../../../src/discovery/kubernetes/lines.ts'

async function* bytes(...chunks: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk as string)
}
const lines = (...chunks: readonly (string | Buffer)[]) => Array.fromAsync(readLines(bytes(...chunks), 10))

test('lines are found however the stream is cut, also within a character', async (t) => {
  const [first, second] = [Buffer.from('문'.slice(0)).subarray(0, 1), Buffer.from('문').subarray(1)]
  t.deepEqual(await lines('a', 'b\nc\n\n', 'd', '\n', first, second, '\n'), ['ab', 'c', 'd', '문'])
})

test('a stream that ends within a line was cut off', async (t) => {
  await t.throwsAsync(lines('a\nb'), { message: 'cut off in mid-event' })
})

test('a line without end is not kept', async (t) => {
  await t.throwsAsync(lines('a\n', '12345678', '901'), { message: 'an event of more than 10 bytes' })
})
