import type { Attempt, AttemptSpan, RequestSpan } from '../observability/trace.ts'

/** What is told of the attempts of one handshake, one after the other; nothing where traces are off. */
export interface AttemptTeller {
  /** @param headers name, value, name, value …, to which the attempt's `traceparent` is added */
  begin(attempt: Omit<Attempt, 'method'>, headers: string[]): void
  /** Of the attempt that is under way, if there is one. */
  end(status: number, errorCode: string | undefined): void
}

export function tellAttempts(span: RequestSpan | undefined): AttemptTeller | undefined {
  if (span === undefined) return undefined
  let current: AttemptSpan | undefined
  return {
    begin(attempt, headers) {
      current = span.attempt({ method: 'GET', ...attempt })
      headers.push('traceparent', current.traceparent)
    },
    end(status, errorCode) {
      current?.end(status, errorCode)
      current = undefined
    },
  }
}
