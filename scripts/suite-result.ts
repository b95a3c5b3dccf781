import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'

export interface SuiteResult {
  readonly passed: number
  readonly skipped: number
  readonly failed: readonly FailedTest[]
  /** What is wrong beside tests that failed: an exception that nobody caught, a time-out, a file that ended early. */
  readonly otherwise: readonly string[]
}

export interface FailedTest {
  readonly file: string
  readonly title: string
}

/** Reads what AVA prints about each test: its last lines have no count of those that passed once one has failed. */
export function readSuite(output: string, isFile: (path: string) => boolean = existsSync): SuiteResult {
  const lines = stripVTControlCharacters(output).split(/\r?\n/)
  const ofLines = (pattern: RegExp) => lines.flatMap((line) => pattern.exec(line)?.[1] ?? [])
  const failed = ofLines(/^ {2}[✘×] \[(?:fail|unexpected pass)\]: (.*)$/).map((text) => locate(text, isFile))
  const files = new Set(failed.map(({ file }) => file))
  // After a hook has failed, the tests that wait for it are told of as well.
  const isTold = (line: string) => files.has(/^\d+ tests? remaining in (\S+)$/.exec(line)?.[1] ?? '')
  return {
    passed: ofLines(/^ {2}([✔√]) (?!\[expected fail\])/).length,
    skipped: ofLines(/^ {2}(- \[skip\]) /).length,
    failed,
    otherwise: ofLines(/^ *[✘×] (?!\[)(.*)$/).filter((line) => !isTold(line)),
  }
}

/**
 * AVA names `test/proxy/canary.test.ts` as `proxy › canary › title`, and puts the message of the error behind it; either
 * may have arrows of its own.
 */
function locate(text: string, isFile: (path: string) => boolean): FailedTest {
  const parts = text.split(' › ')
  for (let count = parts.length - 1; count > 0; count -= 1) {
    const file = `test/${parts.slice(0, count).join('/')}.test.ts`
    if (isFile(file)) return { file, title: parts.slice(count).join(' › ') }
  }
  return { file: '', title: text }
}

const mostFiles = 5

/**
 * Which files are to be run once more, alone and one at a time: what a loaded machine did to a test is told apart from
 * what a change did, and both are said. None where there are many, or something else is wrong: that is no chance.
 */
export function filesToRepeat({ failed, otherwise }: SuiteResult): readonly string[] {
  const files = [...new Set(failed.map(({ file }) => file))]
  return otherwise.length > 0 || files.includes('') || files.length > mostFiles ? [] : files
}

if (import.meta.main) process.exitCode = await judge(process.argv[2] ?? '', Number(process.argv[3]))

async function judge(logFile: string, status: number): Promise<number> {
  const suite = readSuite(readFileSync(logFile, 'utf8'))
  const codes = new Map<string, number>()
  for (const file of status === 0 ? [] : filesToRepeat(suite)) {
    console.log(`\n${file} once more, alone:`)
    codes.set(file, await runAlone(file))
  }
  console.log()
  for (const line of suite.otherwise) console.log(`not a failed test: ${line}`)
  for (const { file, title } of suite.failed) {
    const code = codes.get(file)
    const alone = code === undefined ? 'not run again' : code === 0 ? 'passed alone' : 'so did its file alone'
    console.log(`failed beside others, ${alone}: ${file} › ${title}`)
  }
  const isOver = codes.size > 0 && [...codes.values()].every((code) => code === 0)
  if (isOver) console.log('A test that passed alone only is to be mended all the same.')
  console.log(`${suite.passed} passed, ${suite.failed.length} failed, ${suite.skipped} skipped`)
  return isOver ? 0 : status
}

function runAlone(file: string): Promise<number> {
  const child = spawn('npx', ['ava', '--serial', file], { stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
}
