import type { Environment } from '../discovery/source.ts'

/** What an operator types after `munjigi`. */
export interface Command {
  /** How it is called, a line for each way. */
  readonly usage: readonly string[]
  /**
   * @param args what was typed after the command's name
   * @throws UsageError where that makes no sense; any other error's message is for the operator
   */
  run(args: readonly string[], context: CommandContext): Promise<void>
}

export interface CommandContext {
  readonly env: Environment
  /** Where `.env` and gateway.yaml are looked for. */
  readonly cwd: string
  /** Writes a line to standard output. */
  readonly print: (line: string) => void
}

/** It failed, and has printed why: there is nothing to add. */
export class AlreadyTold extends Error {
  override name = 'AlreadyTold'
}

/** It was not called as it can be. */
export class UsageError extends Error {
  override name = 'UsageError'
}
