import type { LogLevel } from '../config/config.ts'
import { logLevels } from '../config/log-settings.ts'
import type { GatewayLog } from './log.ts'

/** A level other than the configured one, or that one again. */
export interface LevelChange {
  readonly level: LogLevel
  /** When the configured one holds again, in milliseconds since the epoch; undefined for at the next start. */
  readonly untilMs: number | undefined
  /** When somebody asked for it, in milliseconds since the epoch. */
  readonly askedAtMs: number
}

export interface LogLevelState {
  readonly level: LogLevel
  /** LOG_LEVEL */
  readonly configured: LogLevel
  /** When that holds again; ISO 8601, undefined where that is not said. */
  readonly until: string | undefined
}

export interface LevelSwitch {
  /** Changes the level, where a change is given, and says which it is. */
  ask(change: LevelChange | undefined): LogLevelState
  /** For a process that begins now; undefined where the configured level holds. */
  inForce(): LevelChange | undefined
  stop(): void
}

export interface LevelSwitchOptions {
  readonly log: Pick<GatewayLog, 'info' | 'level' | 'setLevel'>
  /** What is in force elsewhere when this begins. */
  readonly change?: LevelChange | undefined
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** What seems to have taken longer from process to process was asked for after the clock had been set back. */
const mostTransitMs = 5000

/** The level of one process's log, which may be changed while it runs, for a while or until it ends. */
export function createLevelSwitch({ log, change: first, now = Date.now }: LevelSwitchOptions): LevelSwitch {
  const configured = log.level()
  let inForce: LevelChange | undefined
  let end: NodeJS.Timeout | undefined
  let lastAskedAtMs = Number.NEGATIVE_INFINITY

  /** Said at the more talkative of the two levels, or nobody would hear of it. */
  function set(level: LogLevel, message: string): void {
    const isMoreTalkative = logLevels.indexOf(level) < logLevels.indexOf(log.level())
    if (isMoreTalkative) log.setLevel(level)
    log.info({ level }, message)
    log.setLevel(level)
  }

  function restore(): void {
    inForce = undefined
    set(configured, `the log level is ${configured} again`)
  }

  function apply(change: LevelChange): void {
    const { level, untilMs, askedAtMs } = change
    // Two that were asked for at once at different processes reach them in another order: the later holds at all.
    const earlierMs = lastAskedAtMs - askedAtMs
    if (earlierMs > 0 && earlierMs < mostTransitMs) return
    lastAskedAtMs = askedAtMs
    clearTimeout(end)
    if (untilMs !== undefined && untilMs <= now()) {
      if (inForce !== undefined) restore()
      return
    }
    inForce = change
    if (untilMs === undefined) set(level, `the log level is ${level} now`)
    else {
      set(level, `the log level is ${level} until ${new Date(untilMs).toISOString()}`)
      end = setTimeout(restore, untilMs - now()).unref()
    }
  }

  if (first !== undefined) apply(first)
  return {
    ask(change) {
      if (change !== undefined) apply(change)
      const until = inForce?.untilMs
      return {
        ...{ level: log.level(), configured },
        until: until === undefined ? undefined : new Date(until).toISOString(),
      }
    },
    inForce: () => inForce,
    stop: () => clearTimeout(end),
  }
}
