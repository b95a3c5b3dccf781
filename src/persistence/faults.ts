import { GatewayError } from '../errors.ts'

/**
 * SQLSTATE codes (PostgreSQL, appendix A) that speak of the server and not of the statement: connection exceptions
 * (08), a refused login (28), no such database (3D000), a replica after a failover (25006), insufficient resources
 * (53), a statement that took too long (57014), a shutdown or a start (57P).
 */
const serverFault = /^(?:08...|28...|3D000|25006|53...|57014|57P0[1-5])$/
const socketFault =
  /^(?:ECONN|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EHOSTDOWN|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_|EADDRNOTAVAIL|EMFILE|ERR_TLS|ERR_SSL)|^ENOENT$/
/** What pg and PGlite say of a connection without a code. */
const connectionMessage =
  /timeout exceeded when trying to connect|Connection terminated|not queryable|Cannot use a pool|timeout expired|PGlite.* (?:is|already) (?:already )?closed|does not support SSL|driver has already been destroyed/i

const connectionFault = 'CONNECTION_FAULT'

/** The database did not answer in time, or is not there to be asked. */
export class ConnectionFault extends Error {
  override name = 'ConnectionFault'
  /** MikroORM makes an error of its own of this one, and keeps the code. */
  readonly code = connectionFault
}

/** Whether the database is away, or as good as away; `false` for what is wrong with a statement or with our code. */
export function isConnectionFault(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof GatewayError) return false
  const { code, syscall } = error as { code?: unknown; syscall?: unknown }
  if (typeof code === 'string') {
    if (code === connectionFault || serverFault.test(code)) return true
    if (socketFault.test(code)) return code !== 'ENOENT' || syscall === 'connect'
  }
  return connectionMessage.test(error.message)
}

/** What happened, in one line for the operator's log. Neither pg nor the system names a password there. */
export function describeFault(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return describeFault(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  const { code } = error as { code?: unknown }
  const line = error.message.split('\n', 1)[0] ?? ''
  return typeof code === 'string' && code !== connectionFault && !line.includes(code)
    ? `${line} (${code})`
    : line
}

/** Doubles with every failure up to a ceiling; the jitter (the upper half) keeps many replicas apart. */
export function retryDelayMs(failures: number, random = Math.random): number {
  return Math.min(250 * 2 ** Math.min(failures - 1, 10), 3000) * (0.5 + random() / 2)
}
