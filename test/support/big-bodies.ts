import http from 'node:http'
import { pipeline } from 'node:stream/promises'

/** So many bytes, in pieces of 64 KB. */
export function* bytes(length: number): Iterable<Buffer> {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  for (let left = length; left > 0; left -= chunk.length) yield chunk.subarray(0, left)
}

export async function countBytes(stream: AsyncIterable<Buffer>): Promise<number> {
  let total = 0
  for await (const chunk of stream) total += chunk.length
  return total
}

/** Sends so many bytes, with a length or in chunks; resolves with the body of the reply. */
export function upload(url: string, length: number, framing: 'a length' | 'chunks'): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = framing === 'chunks' ? {} : { 'content-length': length }
    const request = http.request(url, { method: 'POST', headers, agent: false })
    request.on('error', reject)
    request.on('response', (response) => {
      response.toArray().then((parts) => resolve(Buffer.concat(parts).toString()), reject)
    })
    pipeline(bytes(length), request).catch(reject)
  })
}

/** Resolves with how many bytes the body has. */
export function download(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    http
      .get(url, { agent: false }, (response) => countBytes(response).then(resolve, reject))
      .on('error', reject)
  })
}
