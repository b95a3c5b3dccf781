/** What the gateway says of itself. Fields are named one by one at each call: nothing is logged whole. */
export interface Log {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

export type LogFields = Readonly<
  Record<string, string | number | boolean | null | undefined | readonly string[]>
>

/** One line per request. The path is without its query: that is where tokens and codes travel. */
export interface AccessEntry {
  readonly requestId: string
  readonly method: string
  readonly path: string
  readonly status: number
  readonly durationMs: number
  readonly clientAddress: string
  readonly bytesSent: number
  readonly service?: string | undefined
  readonly instance?: string | undefined
  readonly attempts?: number | undefined
  readonly errorCode?: string | undefined
}
