import { UsageError } from './commands/command.ts'
import { commands } from './commands/index.ts'

// What an operator types: `npm run munjigi -- keys rotate`. Exits 1 where it failed, 2 where it was called wrongly.
const [name = '', ...args] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
try {
  if (command === undefined) throw new UsageError(name === '' ? 'expected a command' : `no command ${name}`)
  await command.run(args, { env: process.env, cwd: process.cwd(), print: (line) => console.log(line) })
} catch (error) {
  console.error(`munjigi: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
  if (error instanceof UsageError) {
    const known = command === undefined ? Object.values(commands) : [command]
    for (const line of known.flatMap(({ usage }) => usage)) console.error(`  munjigi ${line}`)
    process.exitCode = 2
  }
}
