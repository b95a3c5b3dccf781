import type { Writable } from 'node:stream'

/** What the service prints: one line at a time, on standard output. */
export interface Log {
  line(text: string): void
}

export interface RequestLine {
  readonly method: string
  /** Without its query: that is where tokens and codes travel. */
  readonly path: string
  readonly status: number
  readonly durationMs: number
}

/** Prints lines that begin with the service's name, so that they stand out beside the gateway's. */
export function createLog(output: Writable): Log {
  return { line: (text) => output.write(`auth  ${text}\n`) }
}

/** `GET /users  200  0.4 ms` */
export function requestLine({ method, path, status, durationMs }: RequestLine): string {
  return `${method} ${printable(path)}  ${status}  ${durationMs.toFixed(1)} ms`
}

/** A path comes from outside: what could move a terminal's cursor or forge a line is not printed. */
function printable(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, '?')
}
