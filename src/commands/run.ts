import { check } from './check.ts'
import { AlreadyTold, type Command, type CommandContext, UsageError } from './command.ts'
import { explain } from './explain.ts'
import { keys } from './keys.ts'
import { logLevel } from './log-level.ts'
import { routes } from './routes.ts'

/** Every command by name; a new one is a file and a line. */
const commands: Readonly<Record<string, Command>> = {
  ...{ check, routes, explain, keys },
  'log-level': logLevel,
}

export interface RunContext extends CommandContext {
  /** Writes a line to standard error. */
  readonly complain: (line: string) => void
}

/**
 * Runs what an operator typed after `munjigi`.
 * @returns the exit code: 1 where the command failed, 2 where it was called wrongly
 */
export async function runCommand(args: readonly string[], context: RunContext): Promise<0 | 1 | 2> {
  const [name = '', ...rest] = args
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  try {
    if (command === undefined) throw new UsageError(name === '' ? 'expected a command' : `no command ${name}`)
    await command.run(rest, context)
    return 0
  } catch (error) {
    if (error instanceof AlreadyTold) return 1
    context.complain(`munjigi: ${error instanceof Error ? error.message : String(error)}`)
    if (!(error instanceof UsageError)) return 1
    const known = command === undefined ? Object.values(commands) : [command]
    for (const line of known.flatMap(({ usage }) => usage)) context.complain(`  munjigi ${line}`)
    return 2
  }
}
