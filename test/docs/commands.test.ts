import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { findConsul } from '../../scripts/consul.ts'
import { startConsul } from '../support/consul.ts'
import { type CommandBlock, commandBlocks } from '../support/page-blocks.ts'
import { startPageSession } from '../support/page-session.ts'
import { freePorts } from '../support/ports.ts'

// What a page tells its readers to type is typed here, and what it says comes of it has to come of it.

const consul = await findConsul()
const hasConsul = 'binary' in consul || process.env.REQUIRE_CONSUL === '1'

/** Beside Node the pages ask for these two. */
const lacking = ['bash', 'curl'].filter((program) => spawnSync(program, ['--version']).error !== undefined)

for (const page of ['README.md', 'docs/getting-started.md']) {
  const title = `every command of ${page} does what the page says`
  if (lacking.length === 0) test(title, (t) => follow(t, page))
  else test.skip(`${title} (SKIPPED, no ${lacking.join(', no ')})`, (t) => follow(t, page))
}

async function follow(t: ExecutionContext, page: string): Promise<void> {
  t.timeout(600_000)
  const blocks = commandBlocks(page).filter(({ notRun }) => notRun === undefined)
  t.true(blocks.length > 3, 'the page has commands')
  const needsConsul = hasConsul && blocks.some((block) => block.needsConsul)
  const agent = needsConsul ? await startConsul(t) : undefined
  const usual = [8080, 8001, 8090, 8002, 8081]
  const free = await freePorts(usual.length)
  const ports = new Map(usual.map((port, index) => [port, free[index] ?? 0]))
  if (agent !== undefined) ports.set(8500, agent.port)
  const session = await startPageSession(t, ports)
  for (const block of blocks) {
    if (block.needsConsul && agent === undefined) t.log(`${page}:${block.line}: not run, there is no Consul`)
    else await session.run(block)
  }
}

test('what is not run is this and no more, each for a reason', (t) => {
  const left = ['README.md', 'docs/getting-started.md']
    .flatMap(commandBlocks)
    .filter(({ notRun }) => notRun !== undefined)
  const listed = left.map(({ page, commands }) => `${page}: ${commands.split('\n')[0]}`)
  for (const { page, line, notRun } of left) t.regex(notRun ?? '', /\w+ \w+ \w+/, `${page}:${line}`)
  t.deepEqual(listed, [
    'README.md: npm ci && npm test',
    'docs/getting-started.md: git clone https://github.com/jinmini/munjigi.git && cd munjigi',
    'docs/getting-started.md: consul agent -dev',
  ])
})

test('npm ci, which the pages say and this file does not run again, is what CI has run', (t) => {
  t.true(readFileSync('.ci/run', 'utf8').split('\n').includes('npm ci'))
})

for (const [page, korean] of [
  ['README.md', 'README.ko.md'],
  ['docs/getting-started.md', 'docs/getting-started.ko.md'],
] as const) {
  test(`${korean} has the commands of ${page}, and what it says comes of them`, (t) => {
    t.deepEqual(commandBlocks(korean).map(essence), commandBlocks(page).map(essence))
  })
}

/** Comments at the ends of commands are words, and may be another language's. */
function essence({ commands, expected, keepsRunning, notRun, soon, needsConsul, printed }: CommandBlock) {
  const words = commands.replace(/ +# .*$/gm, '')
  return { commands: words, expected, keepsRunning, isRun: notRun === undefined, soon, needsConsul, printed }
}
