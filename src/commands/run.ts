import { AlreadyTold, type Command, type CommandContext, UsageError } from './command.ts'

/** Every command by name; a new one is a file and a line. Loaded when asked for: `health` is, every few seconds. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  check: async () => (await import('./check.ts')).check,
  routes: async () => (await import('./routes.ts')).routes,
  explain: async () => (await import('./explain.ts')).explain,
  keys: async () => (await import('./keys.ts')).keys,
  'log-level': async () => (await import('./log-level.ts')).logLevel,
  health: async () => (await import('./health.ts')).health,
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
  const command = Object.hasOwn(commands, name) ? await commands[name]?.() : undefined
  try {
    if (command === undefined) throw new UsageError(name === '' ? 'expected a command' : `no command ${name}`)
    await command.run(rest, context)
    return 0
  } catch (error) {
    if (error instanceof AlreadyTold) return 1
    context.complain(`munjigi: ${error instanceof Error ? error.message : String(error)}`)
    if (!(error instanceof UsageError)) return 1
    const known = command ? [command] : await Promise.all(Object.values(commands).map((load) => load()))
    for (const line of known.flatMap(({ usage }) => usage)) context.complain(`  munjigi ${line}`)
    return 2
  }
}
