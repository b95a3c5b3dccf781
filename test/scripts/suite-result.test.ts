import test from 'ava'
import { filesToRepeat, readSuite } from '../../scripts/suite-result.ts'

const files = ['test/journey.test.ts', 'test/proxy/canary.test.ts', 'test/browser/login.test.ts']
const read = (output: string) => readSuite(output, (path) => files.includes(path))

const begin = `
  ✔ journey › npm start works (2s)
    ℹ a figure
  ✔ proxy › canary › a share of requests
  - [skip] proxy › canary › what cannot be had here
`

test('what passed and was skipped is counted, whether something failed or not', (t) => {
  t.like(read(`${begin}  ─\n\n  2 tests passed\n  1 test skipped\n`), { passed: 2, skipped: 1 })
  const { failed, ...others } = read(`${begin}  ✘ [fail]: journey › Ctrl-C › twice\n\n  1 test failed\n`)
  t.deepEqual(others, { passed: 2, skipped: 1, otherwise: [] })
  t.deepEqual(failed, [{ file: 'test/journey.test.ts', title: 'Ctrl-C › twice' }])
})

test('colours and the marks of a plain terminal are read as well', (t) => {
  const suite = read(
    '  \u001b[32m√\u001b[39m journey › good\n  \u001b[31m× [fail]:\u001b[39m proxy › canary › bad Assertion failed\n',
  )
  t.is(suite.passed, 1)
  t.is(suite.failed[0]?.file, 'test/proxy/canary.test.ts')
})

test('files whose tests failed are repeated, each once', (t) => {
  const suite = read(
    '  ✘ [fail]: journey › a\n  ✘ [fail]: journey › b\n  ✘ [fail]: browser › login › start a browser\n  ✘ 9 tests remaining in test/browser/login.test.ts\n',
  )
  t.deepEqual(filesToRepeat(suite), ['test/journey.test.ts', 'test/browser/login.test.ts'])
})

for (const [what, line] of [
  ['an exception that nobody caught', '  ✘ Uncaught exception in test/journey.test.ts'],
  ['a time-out', '\n  ✘ Timed out while running tests'],
  ['a file that ended', '  ✘ test/journey.test.ts exited with a non-zero exit code: 1'],
  ['a file that is not known', '  ✘ [fail]: elsewhere › a'],
] as const) {
  test(`after ${what} nothing is repeated`, (t) => {
    t.deepEqual(filesToRepeat(read(`  ✘ [fail]: journey › a\n${line}\n`)), [])
  })
}

test('where six files failed it is no chance', (t) => {
  const output = Array.from({ length: 6 }, (_, i) => `  ✘ [fail]: file-${i} › a`).join('\n')
  t.deepEqual(filesToRepeat(readSuite(output, () => true)), [])
})
