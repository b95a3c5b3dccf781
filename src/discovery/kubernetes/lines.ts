/**
 * Lines of a stream of bytes, without empty ones. What is after the last line break is no line.
 *
 * @throws Error where a line is longer than `mostBytes`, or the stream ends in the middle of one.
 */
export async function* readLines(
  chunks: AsyncIterable<Buffer>,
  mostBytes: number,
): AsyncGenerator<string, void> {
  let parts: Buffer[] = []
  let size = 0
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      parts.push(chunk.subarray(start, end))
      // Joined before it is decoded: a character may lie across two chunks.
      const line = Buffer.concat(parts).toString('utf8')
      parts = []
      size = 0
      start = end + 1
      if (line.trim() !== '') yield line
    }
    const rest = chunk.subarray(start)
    parts.push(rest)
    size += rest.length
    if (size > mostBytes) throw new Error(`an event of more than ${mostBytes} bytes`)
  }
  if (size > 0) throw new Error('cut off in mid-event')
}
