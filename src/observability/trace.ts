import type { AccessEntry } from './log.ts'

/** The trace that a request belongs to: its caller's, or one that begins here where traces are on. */
export interface RequestTrace {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** What a house is sent of it besides each attempt's own `traceparent`: name, value, name, value … */
  readonly passedOn: readonly string[]
  /** Undefined where traces are off. */
  readonly span: RequestSpan | undefined
}

/** What the gateway tells of a request (a server span), and of each attempt to have it answered. */
export interface RequestSpan {
  /** An attempt begins. */
  attempt(attempt: Attempt): AttemptSpan
  /** The request is over; what the access log says of it is what is told. */
  end(entry: AccessEntry): void
}

export interface Attempt {
  readonly method: string
  /** Of the house, as it is sent; its query is not told. */
  readonly url: string
  readonly service: string
  /** Of the instance, such as `http://127.0.0.1:8001`. */
  readonly origin: string
  /** How many attempts there were before. */
  readonly resendCount: number
}

/** An attempt at an instance (a client span). */
export interface AttemptSpan {
  /** For the instance: its own spans are this one's children. */
  readonly traceparent: string
  /**
   * @param status what the instance answered, 0 for nothing
   * @param errorCode what went wrong, where something did
   */
  end(status: number, errorCode: string | undefined): void
}
