#!/usr/bin/env node
import { runCommand } from './commands/run.ts'

// What an operator types: `npx munjigi keys rotate`, or `npm run munjigi -- keys rotate`.
process.exitCode = await runCommand(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  print: (line) => console.log(line),
  complain: (line) => console.error(line),
})
