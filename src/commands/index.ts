import type { Command } from './command.ts'
import { keys } from './keys.ts'

/** Every command by name; a new one is a file and a line. */
export const commands: Readonly<Record<string, Command>> = { keys }
