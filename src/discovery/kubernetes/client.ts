import http from 'node:http'
import https from 'node:https'
import { z } from 'zod'
import type { Access } from './access.ts'
import { readLines } from './lines.ts'

/** A call to the API server that came to nothing. The message never holds a token. */
export class KubernetesError extends Error {
  override name = 'KubernetesError'
  /** The status of the reply, or the code of the Status object in a stream; undefined where none came. */
  readonly status: number | undefined

  constructor(message: string, status?: number) {
    super(message)
    this.status = status
  }
}

interface CallOptions {
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

interface WatchOptions extends CallOptions {
  /** How long the stream may say nothing, not even a bookmark. */
  readonly silenceMs: number
  /** Called when the stream is open. */
  readonly onOpen: () => void
}

export interface KubernetesClient {
  /** The body of one GET. */
  get(options: CallOptions): Promise<unknown>
  /** The events of a watch, each as it was sent. Ends when the server ends the stream in good order. */
  watch(options: WatchOptions): AsyncGenerator<unknown, void>
}

export interface ClientTiming {
  /** Until the head of a reply. */
  readonly headMs: number
  /** Until the end of a reply that is not a stream. */
  readonly bodyMs: number
}

/** etcd refuses objects above 1.5 MB; JSON is wordier than what is stored. */
const mostEventBytes = 8 * 2 ** 20
const mostBodyBytes = 64 * 2 ** 20
const mostErrorBytes = 2 ** 16
const keepAliveMs = 30_000

const statusSchema = z.object({ message: z.string().optional(), reason: z.string().optional() })

/** GET and nothing else. A 401 has the credentials read again and the request sent once more. */
export function createKubernetesClient(access: Access, timing: ClientTiming): KubernetesClient {
  async function send({ path, query, signal }: CallOptions): Promise<http.IncomingMessage> {
    const options = await within(timing.headMs, signal, access.authorize())
    const url = new URL(`${access.server}${path}`)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const transport = url.protocol === 'http:' ? http : https
    return new Promise((resolve, reject) => {
      const headers = { accept: 'application/json', 'user-agent': 'munjigi', ...options.headers }
      const request = transport.request(url, { ...options, headers, signal })
      const late = () => request.destroy(new Error(`no answer within ${timing.headMs} ms`))
      const timer = setTimeout(late, timing.headMs)
      request.on('socket', (socket) => socket.setKeepAlive(true, keepAliveMs))
      request.on('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      request.on('response', (response) => {
        clearTimeout(timer)
        resolve(response)
      })
      request.end()
    })
  }

  async function open(options: CallOptions): Promise<http.IncomingMessage> {
    let response = await send(options)
    if (response.statusCode === 401) {
      response.destroy()
      access.renew()
      response = await send(options)
    }
    if (response.statusCode === 200) return response
    throw await refusal(response)
  }

  async function refusal(response: http.IncomingMessage): Promise<KubernetesError> {
    const { statusCode = 0 } = response
    const text = await readBody(response, mostErrorBytes, timing.headMs).catch(() => '')
    const said = statusSchema.safeParse(parseJson(text)).data
    const message = (said?.message ?? said?.reason ?? http.STATUS_CODES[statusCode] ?? '').slice(0, 300)
    return new KubernetesError(`${statusCode} ${message}`.trim(), statusCode)
  }

  return {
    async get(options) {
      try {
        const response = await open(options)
        const body = parseJson(await readBody(response, mostBodyBytes, timing.bodyMs))
        if (body === undefined) throw new Error('a reply that is not JSON')
        return body
      } catch (error) {
        options.signal.throwIfAborted()
        throw named(options.path, error)
      }
    },
    async *watch(options) {
      try {
        const response = await open(options)
        options.onOpen()
        for await (const line of readLines(withoutSilence(response, options.silenceMs), mostEventBytes)) {
          const event = parseJson(line)
          if (event === undefined) throw new Error('an event that is not JSON')
          yield event
        }
      } catch (error) {
        options.signal.throwIfAborted()
        throw named(`${options.path}?watch`, error)
      }
    },
  }
}

/** A credential plugin may take as long as it likes, and cannot be told to stop. */
async function within<T>(ms: number, signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no credentials within ${ms} ms`)), ms)
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    signal.throwIfAborted()
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

function named(what: string, error: unknown): KubernetesError {
  const { message, code, status } = error as NodeJS.ErrnoException & { status?: number }
  const came = code === undefined || message.includes(code) ? message : `${message} ${code}`.trim()
  return new KubernetesError(`Kubernetes: GET ${what}: ${came}`, status)
}

async function readBody(response: http.IncomingMessage, mostBytes: number, withinMs: number) {
  const late = () => response.destroy(new Error(`no whole reply within ${withinMs} ms`))
  const timer = setTimeout(late, withinMs)
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > mostBytes) throw new Error(`a reply of more than ${mostBytes} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString('utf8')
  } finally {
    clearTimeout(timer)
  }
}

async function* withoutSilence(response: http.IncomingMessage, silenceMs: number): AsyncGenerator<Buffer> {
  const silent = () => response.destroy(new Error(`silent for ${silenceMs} ms`))
  const timer = setTimeout(silent, silenceMs)
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      timer.refresh()
      yield chunk
    }
  } finally {
    clearTimeout(timer)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
