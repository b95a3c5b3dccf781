import type { ServerResponse } from 'node:http'

/** One page's stream of server-sent events (HTML §9.2). */
interface Stream {
  readonly reply: ServerResponse
  /** Rejects once the reader may not see it any more. */
  readonly admit: () => Promise<unknown>
  /** Whether it has yet to be told everything: it is new, or did not read what it was sent. */
  needsAll: boolean
  /** Since when it has not read what it was sent; milliseconds, monotonic. */
  behindSince: number | undefined
}

export interface Streams {
  /** False where there is no room for another one. */
  open(reply: ServerResponse, admit: Stream['admit']): boolean
  count(): number
  /** Whether one of them has yet to be told everything. */
  needAll(): boolean
  /**
   * Sends each the change, and everything to those that need it. One that has not read the last one is not sent more:
   * it is told everything once it has, so that no more than one message is ever buffered for it.
   */
  send(change: string, all: (() => string) | undefined): void
  /** Ends those whose readers may not see it any more, and those that have not read for a long time. */
  review(): Promise<void>
  /** Ends all of them. */
  endAll(): void
}

export interface StreamsOptions {
  /** How many at once, in this process. */
  readonly most?: number
  /** One that reads nothing for so long is ended. */
  readonly patienceMs?: number
  /** How long a page is to wait before it comes back. */
  readonly retryMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** The pages that are open at this process. */
export function createStreams(options: StreamsOptions = {}): Streams {
  const { most = 20, patienceMs = 60_000, retryMs = 1000, now = () => performance.now() } = options
  const streams = new Set<Stream>()
  let id = 0

  function sendOne(stream: Stream, event: string, data: string): void {
    stream.needsAll = false
    stream.reply.write(`id: ${id}\nevent: ${event}\ndata: ${data}\n\n`)
  }

  function isBehind(stream: Stream): boolean {
    const { reply } = stream
    if (!reply.writableNeedDrain) stream.behindSince = undefined
    else stream.behindSince ??= now()
    return stream.behindSince !== undefined
  }

  function end(stream: Stream): void {
    streams.delete(stream)
    // What it has not read would be waited for.
    if (isBehind(stream)) stream.reply.destroy()
    else stream.reply.end()
  }

  async function reviewOne(stream: Stream): Promise<void> {
    const isStuck = isBehind(stream) && now() - stream.behindSince! > patienceMs
    // It comes back, and is told why not.
    const isAdmitted =
      !isStuck &&
      (await stream.admit().then(
        () => true,
        () => false,
      ))
    if (!isAdmitted) end(stream)
  }

  return {
    open(reply, admit) {
      if (streams.size >= most) return false
      const stream: Stream = { reply, admit, needsAll: true, behindSince: undefined }
      // Who has left already closes nothing any more, and would keep the place for ever.
      if (!reply.destroyed) streams.add(stream)
      reply.once('close', () => streams.delete(stream))
      // Who left is noticed by its closing; there is nothing to be done about how.
      reply.on('error', () => {})
      reply.statusCode = 200
      reply.write(`retry: ${retryMs}\n\n`)
      return true
    },
    count: () => streams.size,
    needAll: () => [...streams].some((stream) => stream.needsAll && !isBehind(stream)),
    send(change, all) {
      id += 1
      let everything: string | undefined
      for (const stream of streams) {
        if (isBehind(stream)) stream.needsAll = true
        else if (!stream.needsAll) sendOne(stream, 'change', change)
        else if (all !== undefined) {
          everything ??= all()
          sendOne(stream, 'snapshot', everything)
        }
      }
    },
    async review() {
      await Promise.all([...streams].map(reviewOne))
    },
    endAll() {
      for (const stream of streams) end(stream)
    },
  }
}
