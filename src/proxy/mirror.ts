import type { Dispatcher } from 'undici'
import type { Log } from '../observability/log.ts'
import { timeoutHeader } from './headers.ts'
import { pickUpstream } from './retry.ts'
import type { ProxyRoute } from './routes.ts'
import type { Upload } from './upload.ts'
import type { Upstream } from './upstreams.ts'

/** A service that is sent copies of another's requests. */
export interface Mirror {
  /** Draws whether this request is to be copied. */
  draw(): MirrorCopy | undefined
}

/** The copy of one request. */
export interface MirrorCopy {
  /** Notes a body down while the original is being sent. */
  reading(upload: Upload): Upload
  /** Sends it. To be called once the original is out, so that it is never the one that waits. */
  send(request: { readonly method: string; readonly url: string; readonly headers: readonly string[] }): void
}

/** What goes by in memory anyway. */
const largestBody = 64 * 1024
/** For each service: one that is slow must not pile up copies. */
const mostInFlight = 100

export interface MirrorOptions {
  readonly percent: number
  /** The other service, as it is at the time. */
  readonly target: ProxyRoute
  readonly inFlight: MirrorsInFlight
  readonly random: () => number
  readonly log: Pick<Log, 'debug'>
}

/** Outlives the tables. */
export interface MirrorsInFlight {
  count: number
  /** Copies that were drawn and not sent, since the start. */
  dropped: number
}

/**
 * Copies requests to another service. Its replies are thrown away, its errors are a line at level debug: whatever it
 * does, the original knows nothing of it. A copy is sent once and never again, and never waits for an instance with
 * room.
 */
export function createMirror(options: MirrorOptions): Mirror {
  const { percent, target, inFlight, random, log } = options
  const { service } = target

  function send(request: Parameters<MirrorCopy['send']>[0], body: readonly Buffer[] | undefined): void {
    const upstream = inFlight.count < mostInFlight ? draft() : undefined
    if (upstream === undefined) {
      inFlight.dropped += 1
      log.debug({ service }, `mirror: ${service} takes no more copies now`)
      return
    }
    const headers = [...request.headers, 'x-mirrored', '1', timeoutHeader, target.timeoutText]
    if (upstream.hostHeader !== undefined) headers.unshift('host', upstream.hostHeader)
    inFlight.count += 1
    upstream.inFlight += 1
    const handler = createHandler(upstream)
    upstream.pool.dispatch(
      {
        path: request.url,
        method: request.method as Dispatcher.HttpMethod,
        headers,
        body: body === undefined ? null : Buffer.concat(body),
      },
      handler,
    )
  }

  function draft(): Upstream | undefined {
    return target.limit === undefined ? pickUpstream(target, []) : target.limit.take(target, [])
  }

  function createHandler(upstream: Upstream): Dispatcher.DispatchHandler {
    let started: Dispatcher.DispatchController | undefined
    let isOver = false
    // The reply's body is under the deadline as well: nobody is there to be kept waiting for it.
    const deadline = setTimeout(() => {
      end('it took too long')
      started?.abort(new Error('given up'))
    }, target.timeoutMs)
    function end(failure?: string): void {
      if (isOver) return
      isOver = true
      clearTimeout(deadline)
      inFlight.count -= 1
      upstream.inFlight -= 1
      target.limit?.leave(upstream)
      if (failure !== undefined) {
        log.debug({ service, instance: upstream.address }, `mirror: ${service} did not answer: ${failure}`)
      }
    }
    return {
      onRequestStart(controller) {
        started = controller
        if (isOver) controller.abort(new Error('given up'))
      },
      onResponseStart() {},
      onResponseData() {},
      onResponseEnd: () => end(),
      onResponseError: (_controller, error) => end(error.message),
    }
  }

  return {
    draw() {
      if (random() * 100 >= percent) return undefined
      let body: Buffer[] | undefined
      let isWhole = true
      return {
        reading(upload) {
          isWhole = false
          const chunks: Buffer[] = []
          return noted(upload as unknown as AsyncIterable<Buffer>, chunks, (fits) => {
            if (fits) body = chunks
            isWhole = fits
          }) as unknown as Upload
        },
        send(request) {
          if (isWhole) send(request, body)
          else inFlight.dropped += 1
        },
      }
    },
  }
}

/** Hands chunks on, and keeps them as long as they fit; `onEnd` is told whether they did. */
async function* noted(
  upload: AsyncIterable<Buffer>,
  chunks: Buffer[],
  onEnd: (fits: boolean) => void,
): AsyncGenerator<Buffer, void, void> {
  let size = 0
  for await (const chunk of upload) {
    size += chunk.length
    if (size <= largestBody) chunks.push(chunk)
    else chunks.length = 0
    yield chunk
  }
  onEnd(size <= largestBody)
}
