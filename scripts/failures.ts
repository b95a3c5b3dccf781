import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RowId, rows } from '../test/failures/rows.ts'

/**
 * `npm run failures` runs every row of the failure table for as long as it takes and writes docs/failures.md;
 * `npm run failures -- consul-frozen slowloris` runs only those and writes nothing.
 */
const folder = 'test/failures'
const asked = process.argv.slice(2)
const unknown = asked.filter((id) => !Object.hasOwn(rows, id))
if (unknown.length > 0) {
  console.error(`no such row: ${unknown.join(', ')}\nrows: ${Object.keys(rows).join(', ')}`)
  process.exit(2)
}
const ids = (asked.length > 0 ? asked : Object.keys(rows)) as RowId[]

const scratch = mkdtempSync(join(tmpdir(), 'munjigi-failures-'))
const seenFile = join(scratch, 'seen.jsonl')
writeFileSync(seenFile, '')
const startedAt = performance.now()
const exitCode = await runTests(ids)
const seen = readSeen()
rmSync(scratch, { recursive: true })

const missing = ids.filter((id) => !seen.has(id))
for (const id of missing) console.error(`not held: ${id} (${rows[id].failure})`)
if (asked.length === 0) {
  writeFileSync('docs/failures.md', document())
  console.log(`docs/failures.md: ${seen.size} of ${ids.length} rows held`)
}
process.exit(missing.length > 0 ? 1 : exitCode)

/** One after the other: figures are taken of a machine that does nothing else. */
async function runTests(wanted: readonly RowId[]): Promise<number> {
  const titles =
    asked.length === 0 ? [] : wanted.map((id) => `--match=${rows[id].failure.replace(/[\\*]/g, '\\$&')}`)
  const tests = readdirSync(folder)
    // The table's own test is about what is written below.
    .filter((name) => name.endsWith('.test.ts') && name !== 'table.test.ts')
    .map((name) => join(folder, name))
  const ava = spawn(
    process.execPath,
    [
      'node_modules/ava/entrypoints/cli.js',
      ...tests,
      '--serial',
      '--concurrency=1',
      '--timeout=10m',
      ...titles,
    ],
    { stdio: 'inherit', env: { ...process.env, FIGURES: '1', FAILURES_LONG: '1', FAILURES_FILE: seenFile } },
  )
  const [code] = await once(ava, 'close')
  return code ?? 1
}

function readSeen(): ReadonlyMap<string, readonly string[]> {
  const lines = readFileSync(seenFile, 'utf8').split('\n').filter(Boolean)
  return new Map(
    lines.map((line) => {
      const { id, figures } = JSON.parse(line) as { id: string; figures: string[] }
      return [id, figures]
    }),
  )
}

function document(): string {
  const minutes = Math.ceil((performance.now() - startedAt) / 60_000)
  const date = new Date().toISOString().slice(0, 10)
  const lines = Object.entries(rows).map(([id, { failure, promise }]) => {
    const result = seen.get(id)?.join('; ') ?? '**not held**'
    return `| ${[failure, promise, `\`npm run failures -- ${id}\``, result].map(cell).join(' | ')} |`
  })
  return `# Failures

Written by \`npm run failures\`, which runs every row against real sockets, a real Consul agent and a real PostgreSQL
server; Kubernetes' API server is one of ours that replays what the real one sends ([kubernetes.md](kubernetes.md)).
\`npm test\` runs them as well, some of them shorter. What the gateway does about houses that fail is told in
[resilience.md](resilience.md).

${date}, ${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.versions.node}, ${minutes} min.

| failure | what munjigi promises | command | seen |
| --- | --- | --- | --- |
${lines.join('\n')}
`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
