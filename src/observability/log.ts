import pino from 'pino'
import type { Config } from '../config/config.ts'
import { developmentLine } from './development-log.ts'

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

export interface GatewayLog extends Log {
  access(entry: AccessEntry): void
  /** Writes out what is buffered; for the last moments of the process. */
  flush(): void
}

export interface LogOptions {
  readonly level: Config['logLevel']
  /** `people` for a terminal, `json` for a collector: one object a line (pino). */
  readonly format: 'people' | 'json'
  /** Which of several workers it is: their lines go to one place. */
  readonly worker?: number
  /** Where lines go; standard output unless told otherwise. */
  readonly write?: (line: string) => void
}

/** The gateway's log. JSON lines are written in the background, at most a second late. */
export function createLog({ level, format, worker, write }: LogOptions): GatewayLog {
  if (format === 'people') {
    const put = write ?? ((line) => process.stdout.write(line))
    return createPeopleLog(level, worker === undefined ? put : (line) => put(`[${worker}] ${line}`))
  }
  const isShared = worker !== undefined
  const output = write === undefined ? createBufferedOutput(isShared) : { write, flush: () => {} }
  const workerMember = isShared ? `,"worker":${worker}` : ''
  const isoTime = createIsoTime()
  const logger = pino(
    {
      level,
      base: isShared ? { worker } : null,
      timestamp: isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    output,
  )
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    // The one line that every request pays for. Flat and of known members, it needs none of what pino's own
    // serialiser looks for, and costs a third.
    access(entry) {
      if (!logger.isLevelEnabled('info')) return
      output.write(
        `{"level":"info"${isoTime()}${workerMember},"msg":"request",${JSON.stringify(isShared ? short(entry) : entry).slice(1)}\n`,
      )
    },
    flush: output.flush,
  }
}

/** A line that a caller could make longer than a pipe keeps together would tear another worker's in two. */
const mostPathLength = 1500

function short(entry: AccessEntry): AccessEntry {
  const { path } = entry
  return path.length > mostPathLength ? { ...entry, path: `${path.slice(0, mostPathLength)}…` } : entry
}

/**
 * Standard output, written in the background, at most a second late. Lines are handed over as bytes: for strings
 * the destination weighs each one as it comes, which was most of what a line cost (8 µs of CPU instead of 3).
 * @param isShared whether other processes write to it as well: into a pipe they then write no more at once than POSIX
 *   keeps together (PIPE_BUF, 4096 bytes on Linux), so that no line gets into the middle of another
 */
function createBufferedOutput(isShared: boolean) {
  const destination = pino.destination({
    dest: 1,
    sync: false,
    contentMode: 'buffer',
    // Each write wakes the thread pool: rather once for a hundred lines than for ten.
    minLength: isShared ? 3072 : 32_768,
    maxWrite: isShared ? 4096 : 65_536,
    periodicFlush: 1000,
  })
  // SonicBoom takes bytes in this mode; its types know only strings.
  const put = destination.write.bind(destination) as unknown as (bytes: Buffer) => boolean
  return {
    write: (line: string) => void put(Buffer.from(line)),
    flush: () => destination.flushSync(),
  }
}

/** `,"time":"…"` as pino wants it; formatted once for all lines of the same millisecond. */
function createIsoTime(): () => string {
  let last = 0
  let text = ''
  return () => {
    const now = Date.now()
    if (now !== last) {
      last = now
      text = `,"time":"${new Date(now).toISOString()}"`
    }
    return text
  }
}

function createPeopleLog(level: Config['logLevel'], write: (line: string) => void): GatewayLog {
  const levels = ['debug', 'info', 'warn', 'error', 'silent']
  const least = levels.indexOf(level)
  const say = (name: 'debug' | 'info' | 'warn' | 'error') => (fields: LogFields, message: string) => {
    if (levels.indexOf(name) >= least) write(`${developmentLine(name, fields, message)}\n`)
  }
  const info = say('info')
  return {
    debug: say('debug'),
    info,
    warn: say('warn'),
    error: say('error'),
    access: (entry) => info({}, accessLine(entry)),
    flush: () => {},
  }
}

/** `→ POST /api/user/login  auth@127.0.0.1:8001  200  3.2 ms` */
function accessLine(entry: AccessEntry): string {
  const house = entry.service === undefined ? 'gateway' : `${entry.service}@${entry.instance ?? '-'}`
  const notes = [(entry.attempts ?? 1) > 1 ? `attempt ${entry.attempts}` : undefined, entry.errorCode].filter(
    (note) => note !== undefined,
  )
  const columns = [
    `→ ${entry.method} ${entry.path}`,
    house,
    String(entry.status),
    `${entry.durationMs.toFixed(1)} ms`,
    ...notes,
  ]
  return columns.join('  ')
}
