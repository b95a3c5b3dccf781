import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { runToEnd } from './command-line.ts'
import { onPath } from './machine.ts'

/** A bench, and what makes it as short as it can be: one round of one second, the report into a file of ours. */
type Brief = (report: string) => readonly string[]

const oneRound: Brief = (report) => ['1', '1', report]
const benches: Readonly<Record<string, Brief>> = {
  'run.ts': (report) => ['--smoke', '--output', report],
  'tokens.ts': oneRound,
  'telemetry.ts': oneRound,
  'openapi.ts': oneRound,
  'scale.ts': oneRound,
}

/** What a broken measurement leaves in a report. */
const broken = /\b(?:NaN|undefined|Infinity)\b/

/** Runs every bench to its end, one after the other; compares no figure, and fails where one breaks. */
async function main(): Promise<void> {
  if (!onPath('wrk')) throw new Error('wrk is needed for the bench of tokens: apt-get install wrk')
  const directory = mkdtempSync(join(tmpdir(), 'munjigi-smoke-'))
  const asked = process.argv.slice(2)
  const unknown = asked.filter((name) => !Object.hasOwn(benches, name))
  if (unknown.length > 0)
    throw new Error(`no such bench: ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}`)
  let failed = 0
  try {
    for (const [name, brief] of Object.entries(benches)) {
      if (asked.length > 0 && !asked.includes(name)) continue
      const startedAt = performance.now()
      const complaint = await run(name, brief, join(directory, `${name}.md`))
      const seconds = Math.round((performance.now() - startedAt) / 1000)
      console.log(`${complaint === undefined ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`)
      if (complaint === undefined) continue
      failed += 1
      console.log(complaint)
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  if (failed > 0) throw new Error(`${failed} failed`)
}

async function run(name: string, brief: Brief, report: string): Promise<string | undefined> {
  const args = [fileURLToPath(new URL(name, import.meta.url)), ...brief(report)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [[code, signal], said, complained] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ])
  if (code !== 0) return `exit ${code ?? signal}\n${said}${complained}`
  const written = readFileSync(report, 'utf8')
  const found = broken.exec(written)?.[0]
  return found === undefined ? undefined : `the report has ${found} in it\n${written}`
}

await runToEnd(main)
