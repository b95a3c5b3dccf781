import type { IncomingMessage } from 'node:http'
import type { Dispatcher } from 'undici'

/** A request's body as undici takes it. */
export type Upload = NonNullable<Dispatcher.DispatchOptions['body']>

/**
 * The body of a request, to be handed to one attempt after the other until one begins to read.
 *
 * An iterator, not the stream itself: undici destroys a stream that it is done with, and with it the client's
 * connection. It is not begun until a connection to the house stands, so that a retry finds it whole. (Nor would
 * the stream be faster: behind Koa, its listeners keep each request alive into the next garbage collection.)
 */
export function uploadOf(incoming: IncomingMessage): Upload {
  // undici takes any async iterable; its types name only the commonest.
  return incoming.iterator({ destroyOnReturn: false }) as unknown as Upload
}
