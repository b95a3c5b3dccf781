import type { IncomingMessage } from 'node:http'
import type { Dispatcher } from 'undici'
import { bodyTooLarge } from '../door/body-limit.ts'

/** A request's body as undici takes it. */
export type Upload = NonNullable<Dispatcher.DispatchOptions['body']>

/**
 * The body of a request, to be handed to one attempt after the other until one begins to read.
 *
 * An iterator, not the stream itself: undici destroys a stream that it is done with, and with it the client's
 * connection. It is not begun until a connection to the house stands, so that a retry finds it whole. (Nor would
 * the stream be faster: behind Koa, its listeners keep each request alive into the next garbage collection.)
 *
 * @param limit the most bytes of a body that comes without a length; one that has a length was checked by it
 */
export function uploadOf(incoming: IncomingMessage, limit: number | undefined): Upload {
  const chunks = incoming.iterator({ destroyOnReturn: false })
  const isCounted = limit !== undefined && incoming.headers['content-length'] === undefined
  // undici takes any async iterable; its types name only the commonest.
  return (isCounted ? upTo(limit, chunks) : chunks) as unknown as Upload
}

/** Breaks off at the chunk that is too much: undici then closes the house's connection, short of the last chunk. */
async function* upTo(limit: number, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let left = limit
  for await (const chunk of chunks) {
    left -= chunk.length
    if (left < 0) throw bodyTooLarge(limit)
    yield chunk
  }
}
