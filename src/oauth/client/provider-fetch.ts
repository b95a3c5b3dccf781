import { Agent, request } from 'undici'
import type { GatewayError } from '../../errors.ts'
import type { ProviderErrors, QuestionKind, Refusal } from './provider-errors.ts'

export interface Question {
  readonly kind: QuestionKind
  readonly url: string
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** An answer that says yes, or one that says no in the way that the dialect knows. */
export interface Answer {
  readonly status: number
  /** Undefined for a revocation that is answered with anything but a JSON object. */
  readonly body: Readonly<Record<string, unknown>> | undefined
  /** Only of `/user/emails` and its like. */
  readonly list: readonly unknown[] | undefined
}

/** How a provider says no, where it is not RFC 6749 §5.2's way; undefined where it has not said no. */
export type ReadRefusal = (kind: QuestionKind, answer: Answer) => Refusal | undefined

export interface ProviderFetchOptions {
  readonly errors: ProviderErrors
  /** After which a connection is given up; for the rest there are deadlines. */
  readonly timeoutMs: number
  readonly readRefusal: ReadRefusal
  /** Whether its token endpoint answers form-encoded as well. */
  readonly formReplies: boolean
  /** Never to be shown, even where a provider repeats it: the client secret. */
  readonly secrets: readonly string[]
}

export interface ProviderFetch {
  /**
   * Asks one question. Redirects are not followed, since they would take the secrets along; nothing is asked twice,
   * and no connection is used twice, since a code or a refresh token that was sent once may be spent.
   *
   * A status of 500 and more means that the provider is away (`provider_unreachable`), whoever says so in its place.
   * @param deadline aborts when the time is up, be it in the middle of the body
   * @throws GatewayError (rejects with) `provider_unreachable`, `provider_timeout`, `provider_bad_response`
   */
  ask(question: Question, deadline: AbortSignal): Promise<Answer>
  /** The same where a no is an error: `invalid_grant` or `provider_refused` besides. */
  demand(question: Question, deadline: AbortSignal): Promise<Answer>
  /** What a no is thrown as. */
  refusal(question: Question, answer: Answer): GatewayError | undefined
}

const maxBytes = 1024 * 1024

export function createProviderFetch(options: ProviderFetchOptions): ProviderFetch {
  const { errors, timeoutMs, readRefusal, formReplies, secrets } = options
  // No pipelining: each connection is closed after its reply.
  const agent = new Agent({
    pipelining: 0,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: timeoutMs },
  })

  async function fetchBytes(question: Question, deadline: AbortSignal) {
    const { url, method = 'GET', headers, body } = question
    try {
      const reply = await request(url, {
        dispatcher: agent,
        method,
        headers: {
          accept: 'application/json',
          'accept-encoding': 'identity',
          'user-agent': 'munjigi',
          ...headers,
        },
        body: body ?? null,
        signal: deadline,
      })
      const { statusCode: status } = reply
      const refused = refuseStatus(status)
      // Destroying it closes the connection rather than receive the rest.
      const drop = () => reply.body.on('error', () => {}).destroy()
      if (refused !== undefined) {
        drop()
        throw refused
      }
      const chunks: Uint8Array[] = []
      let size = 0
      for await (const chunk of reply.body as AsyncIterable<Uint8Array>) {
        size += chunk.length
        if (size > maxBytes) {
          drop()
          throw errors.badResponse(`has sent more than ${maxBytes / 1024 / 1024} MB`)
        }
        chunks.push(chunk)
      }
      return { status, headers: reply.headers, bytes: Buffer.concat(chunks) }
    } catch (error) {
      if (deadline.aborted) throw errors.timeout()
      throw isOfHttp(error) ? errors.badResponse('has sent what is not HTTP') : wrap(error)
    }
  }

  function refuseStatus(status: number): GatewayError | undefined {
    if (status >= 500) return errors.unreachable(`has answered with status ${status}`)
    const isRedirect = status >= 300 && status < 400
    return isRedirect ? errors.badResponse(`has answered with a redirect (${status})`) : undefined
  }

  function wrap(error: unknown): GatewayError {
    const own = errors.from(error)
    return own === error ? own : errors.unreachable('cannot be reached')
  }

  function parse(kind: QuestionKind, headers: NodeJS.Dict<string | string[]>, bytes: Uint8Array): unknown {
    const encoding = headers['content-encoding'] ?? 'identity'
    if (encoding !== 'identity')
      throw errors.badResponse('has sent a compressed reply, which was not asked for')
    const type = String(headers['content-type'] ?? '')
      .split(';')[0]!
      .trim()
      .toLowerCase()
    const isForm = type === 'application/x-www-form-urlencoded'
    if (isForm && formReplies && (kind === 'exchange' || kind === 'refresh')) {
      return Object.fromEntries(new URLSearchParams(Buffer.from(bytes).toString()))
    }
    if (!/^application\/(?:[\w.!#$&^-]+\+)?json$/.test(type)) {
      throw errors.badResponse('has sent a reply that is not JSON')
    }
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    } catch {
      throw errors.badResponse('has sent JSON that cannot be read')
    }
  }

  async function ask(question: Question, deadline: AbortSignal): Promise<Answer> {
    const { status, headers, bytes } = await fetchBytes(question, deadline)
    const answer = (parsed: unknown): Answer => ({
      status,
      body: isObject(parsed) ? parsed : undefined,
      list: Array.isArray(parsed) ? parsed : undefined,
    })
    if (question.kind === 'revocation') {
      // The status says it all (RFC 7009 §2.2), and many send no body.
      try {
        return answer(parse(question.kind, headers, bytes))
      } catch {
        return answer(undefined)
      }
    }
    const parsed = parse(question.kind, headers, bytes)
    if (!isObject(parsed) && !Array.isArray(parsed))
      throw errors.badResponse('has sent JSON that is no object')
    return answer(parsed)
  }

  function refusal(question: Question, answer: Answer): GatewayError | undefined {
    const { kind } = question
    const read = readRefusal(kind, answer) ?? standardRefusal(kind, answer)
    return read === undefined ? undefined : errors.refused(kind, read, sentValues(question, secrets))
  }

  return {
    ask,
    refusal,
    async demand(question, deadline) {
      const answer = await ask(question, deadline)
      const refused = refusal(question, answer)
      if (refused !== undefined) throw refused
      return answer
    },
  }
}

/** RFC 6749 §5.2. A 200 with `error` is a no as well, but not the standard's word on a grant. */
function standardRefusal(kind: QuestionKind, { status, body }: Answer): Refusal | undefined {
  const error = body?.error
  const isNo = status >= 400
  if (!isNo && (error === undefined || error === null || kind === 'keys')) return undefined
  const isGrant = kind === 'exchange' || kind === 'refresh'
  return {
    ...(typeof error === 'string' && { code: error }),
    dead: isNo && isGrant && error === 'invalid_grant',
  }
}

/** All that a provider could repeat, as it was before it was encoded. */
function sentValues({ url, headers, body }: Question, secrets: readonly string[]): string[] {
  const decoded = [...new URL(url).searchParams, ...new URLSearchParams(body)].map(([, value]) => value)
  return [url, body ?? '', ...Object.values(headers ?? {}), ...decoded, ...secrets]
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A peer that answers, but not as HTTP has it. */
function isOfHttp(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^(?:HPE_|UND_ERR_(?:HEADERS_OVERFLOW|RES|RESPONSE))/.test(code)
}
