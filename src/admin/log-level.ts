import type { ParameterizedContext } from 'koa'
import { z } from 'zod'
import { logLevel } from '../config/log-settings.ts'
import { timeout } from '../discovery/description.ts'
import type { DoorState } from '../door/state.ts'
import type { LevelChange, LogLevelState } from '../observability/log-level.ts'
import { checkBody, createReadBody } from '../tokens/body.ts'
import type { TokenContext } from '../tokens/state.ts'

/** The level of the log, in every process of the gateway. */
export interface LogLevelView extends LogLevelState {
  /** How many processes say so, where there is more than one. */
  readonly workers?: number
}

export interface LogLevelEndpoint {
  read(): Promise<LogLevelView>
  /** @throws GatewayError (rejects with) `invalid_request` and what else a body may be at fault with */
  change(ctx: ParameterizedContext<DoorState>): Promise<LogLevelView>
}

const changeSchema = z.strictObject({ level: logLevel, for: timeout.optional() })

/**
 * Tells the level, and changes it.
 *
 * @param gather asks every process, and has it change the level where a change is given
 */
export function createLogLevelEndpoint(
  gather: (change?: LevelChange) => Promise<readonly [LogLevelState, ...LogLevelState[]]>,
  now: () => number = Date.now,
): LogLevelEndpoint {
  const readBody = createReadBody()

  async function view(change?: LevelChange): Promise<LogLevelView> {
    const [first, ...others] = await gather(change)
    return others.length === 0 ? first : { ...first, workers: 1 + others.length }
  }

  return {
    read: () => view(),
    async change(ctx) {
      const asked = ctx as unknown as TokenContext
      await readBody(asked, async () => {})
      const { level, for: forMs } = checkBody(changeSchema, asked.state.body)
      const askedAtMs = now()
      return view({ level, untilMs: forMs === undefined ? undefined : askedAtMs + forMs, askedAtMs })
    },
  }
}
