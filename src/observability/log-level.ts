import type { LogLevel } from '../config/config.ts'
import { logLevels } from '../config/log-settings.ts'
import type { GatewayLog } from './log.ts'

/** A level other than the configured one, or that one again. */
export interface LevelChange {
  readonly level: LogLevel
  /** When the configured one holds again, in milliseconds since the epoch; undefined for at the next start. */
  readonly untilMs: number | undefined
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

/** The level of one process's log, which may be changed while it runs, for a while or until it ends. */
export function createLevelSwitch({ log, change: first, now = Date.now }: LevelSwitchOptions): LevelSwitch {
  const configured = log.level()
  let inForce: LevelChange | undefined
  let end: NodeJS.Timeout | undefined

  /** Said at the more talkative of the two levels, or nobody would hear of it. */
  function set(level: LogLevel, message: string): void {
    const isMoreTalkative = logLevels.indexOf(level) < logLevels.indexOf(log.level())
    if (isMoreTalkative) log.setLevel(level)
    log.info({ level }, message)
    log.setLevel(level)
  }

  function apply(change: LevelChange): void {
    clearTimeout(end)
    const { level, untilMs } = change
    if (untilMs !== undefined && untilMs <= now()) return
    inForce = change
    if (untilMs === undefined) set(level, `the log level is ${level} now`)
    else {
      set(level, `the log level is ${level} until ${new Date(untilMs).toISOString()}`)
      end = setTimeout(() => {
        inForce = undefined
        set(configured, `the log level is ${configured} again`)
      }, untilMs - now()).unref()
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
