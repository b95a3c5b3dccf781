import pino from 'pino'
import type { Config, LogLevel } from '../config/config.ts'
import { logLevels } from '../config/log-settings.ts'
import { accessMembers, accessText } from './access-line.ts'
import { developmentLine } from './development-log.ts'
import { createLogOutput } from './log-output.ts'

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

/**
 * One line per request: what may be told of it, and there is nothing else that could be. The path is without its query:
 * that is where tokens and codes travel.
 */
export interface AccessEntry {
  readonly requestId: string
  /** Of the trace that it belongs to, if any. */
  readonly traceId?: string | undefined
  readonly method: string
  /** The prefix that led on, or the endpoint of the gateway's own. */
  readonly route?: string | undefined
  readonly path: string
  readonly status: number
  readonly durationMs: number
  readonly clientAddress: string
  /** Who is calling, where the gateway has verified it. */
  readonly subject?: string | undefined
  /** Of the body, as far as it was sent on; of a WebSocket all that came after the handshake. */
  readonly bytesReceived?: number | undefined
  /** Of the body; of a WebSocket all that was sent. */
  readonly bytesSent: number
  readonly service?: string | undefined
  readonly instance?: string | undefined
  readonly attempts?: number | undefined
  /** What the response cache did, on a route that has one. */
  readonly cache?: string | undefined
  readonly errorCode?: string | undefined
}

export interface GatewayLog extends Log {
  access(entry: AccessEntry): void
  readonly level: () => LogLevel
  /** From the next line on. */
  setLevel(level: LogLevel): void
  /** Writes out what is buffered; for the last moments of the process. */
  flush(): void
  /** Bytes of lines that were given up, because whoever reads standard output had stopped. */
  droppedBytes(): number
}

export interface LogOptions {
  readonly level: LogLevel
  /** Whether paths are told, or the route alone; they are unless this says otherwise. */
  readonly paths?: Config['logPaths']
  /** `people` for a terminal, `json` for a collector: one object a line (pino). */
  readonly format: 'people' | 'json'
  /** Which of several workers it is: their lines go to one place. */
  readonly worker?: number
  /** Where lines go; standard output unless told otherwise. */
  readonly write?: (line: string) => void
}

/** The gateway's log. JSON lines are written in the background, at most a second late. */
export function createLog(options: LogOptions): GatewayLog {
  const { level, format, worker, write, paths = 'full' } = options
  if (format === 'people') {
    const put = write ?? ((line) => process.stdout.write(line))
    const numbered = worker === undefined ? put : (line: string) => put(`[${worker}] ${line}`)
    return createPeopleLog(level, paths, numbered)
  }
  const isShared = worker !== undefined
  const output = write === undefined ? createLogOutput(isShared) : callerOutput(write)
  const workerMember = isShared ? `,"worker":${worker}` : ''
  const isoTime = createTimed((now) => `,"time":"${now}"`)
  const accessHead = createTimed((now) => `{"level":"info","time":"${now}"${workerMember},"msg":"request",`)
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
    // serialiser looks for.
    access(entry) {
      if (!logger.isLevelEnabled('info')) return
      output.write(`${accessHead()}${accessMembers(entry, paths, isShared)}\n`)
    },
    level: () => logger.level as LogLevel,
    setLevel(next) {
      logger.level = next
    },
    flush: output.flush,
    droppedBytes: output.droppedBytes,
  }
}

const callerOutput = (write: (line: string) => void) => ({ write, flush: () => {}, droppedBytes: () => 0 })

/** A text with the time (ISO 8601), made once for all lines of the same millisecond. */
function createTimed(textAt: (now: string) => string): () => string {
  let last = 0
  let text = ''
  return () => {
    const now = Date.now()
    if (now !== last) {
      last = now
      text = textAt(new Date(now).toISOString())
    }
    return text
  }
}

function createPeopleLog(
  level: LogLevel,
  paths: Config['logPaths'],
  write: (line: string) => void,
): GatewayLog {
  let current = level
  let least = logLevels.indexOf(level)
  const say = (name: 'debug' | 'info' | 'warn' | 'error') => (fields: LogFields, message: string) => {
    if (logLevels.indexOf(name) >= least) write(`${developmentLine(name, fields, message)}\n`)
  }
  const info = say('info')
  return {
    debug: say('debug'),
    info,
    warn: say('warn'),
    error: say('error'),
    access: (entry) => info({}, accessText(entry, paths)),
    level: () => current,
    setLevel(next) {
      current = next
      least = logLevels.indexOf(next)
    },
    flush: () => {},
    droppedBytes: () => 0,
  }
}
