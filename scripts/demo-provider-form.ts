import type { IncomingMessage } from 'node:http'

const mostBytes = 10_000

/** What a form was filled in with (`application/x-www-form-urlencoded`). Rejects where it is bigger than ours ever is. */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > mostBytes) throw new Error('the form is too big')
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks).toString())
}
