import { spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findStaleGatewaySchema } from './gateway-schema.ts'
import { findSchemaDrift } from './schema-drift.ts'
import { findStaleSettingsDocs } from './settings-docs.ts'

/** A file that is longer than this asks to be two. */
const mostLines = 300

const checks: Readonly<Record<string, () => Promise<string | undefined>>> = {
  types: () => command('tsc', ['--noEmit']),
  'lint and format': () => command('biome', ['check', '--error-on-warnings']),
  'dead code': () => command('knip', ['--no-progress']),
  'file sizes': findLongFiles,
  'settings in the docs': findStaleSettingsDocs,
  'gateway.schema.json': findStaleGatewaySchema,
  'schema drift': () => findSchemaDrift(),
}

// Side by side, and every one to its end: all that is wrong is said at once.
const startedAt = performance.now()
const outcomes = await Promise.all(
  Object.entries(checks).map(async ([name, check]) => {
    const complaint = await check()
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    console.log(`${complaint === undefined ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`)
    return complaint
  }),
)
const complaints = outcomes.filter((outcome) => outcome !== undefined)
for (const complaint of complaints) console.log(`\n${complaint}`)
process.exitCode = complaints.length === 0 ? 0 : 1

/** Runs a program of node_modules/.bin; gives what it printed if it failed. */
function command(name: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(join('node_modules', '.bin', name), args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', (text: string) => {
        output += text
      })
    }
    child.on('error', reject)
    child.on('close', (code) => resolve(code === 0 ? undefined : `${name}:\n${output}`))
  })
}

async function findLongFiles(): Promise<string | undefined> {
  const names = await readdir('src', { recursive: true })
  const long: string[] = []
  for (const name of names.filter((path) => path.endsWith('.ts'))) {
    const lines = (await readFile(join('src', name), 'utf8')).split('\n').length
    if (lines > mostLines) long.push(`src/${name}: ${lines} lines, at most ${mostLines}`)
  }
  return long.length === 0 ? undefined : long.join('\n')
}
