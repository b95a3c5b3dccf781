import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { runCommand } from '../../src/commands/run.ts'
import { type ConfigFiles, configFolder } from '../support/config.ts'
import { fullFile, mistyped, typos } from '../support/typos.ts'

const settings = { DATABASE_URL: 'none', HOUSE_URL: 'http://127.0.0.1:3' }

/** Runs `munjigi check …` in a folder of its own with these files. */
async function check(
  t: ExecutionContext,
  files: ConfigFiles,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
) {
  const cwd = configFolder(t, files)
  const [output, errors]: [string[], string[]] = [[], []]
  const print = (line: string) => void output.push(line)
  const complain = (line: string) => void errors.push(line)
  const context = { env: { ...settings, ...env }, cwd, print, complain }
  return { code: await runCommand(['check', ...args], context), output, errors: errors.join('\n') }
}

test('a file without fault is exit 0 and a count of what is in it', async (t) => {
  t.deepEqual(await check(t, { yaml: fullFile }), {
    code: 0,
    output: ['gateway.yaml: 2 services, 4 routes'],
    errors: '',
  })
})

for (const typo of typos) {
  test(`${typo.what}: its file, line and key, and exit 1`, async (t) => {
    const { code, output, errors } = await check(t, { yaml: mistyped(typo) })
    t.is(code, 1)
    t.is(errors, '')
    const [line = '', ...key] = typo.at.split(' ')
    const place = new RegExp(`^gateway\\.yaml:${line}:\\d+ (\\S+): found .+, expected .+`)
    t.deepEqual(
      output.map((finding) => place.exec(finding)?.[1]).filter((found) => found !== undefined)[0],
      key.join(' '),
      output.join('\n'),
    )
  })
}

test('every finding is told, not only the first', async (t) => {
  const yaml = 'services:\n  a: { auth: non, retries: 99 }\n  b: { path: x }\n'
  const { code, output } = await check(t, { yaml })
  t.is(code, 1)
  t.is(output.length, 3)
})

test('without a file, what is wrong with the environment and .env is told as at a start', async (t) => {
  const { code, output } = await check(t, { yaml: fullFile, dotEnv: 'what\n' }, [], { PORT: 'eighty' })
  t.is(code, 1)
  t.regex(output.join('\n'), /^\.env:1:1: /m)
  t.regex(output.join('\n'), /^PORT: found "eighty"/m)
})

test('a file that is named is checked and nothing else, with the environment behind its placeholders', async (t) => {
  const cwd = configFolder(t)
  const file = join(cwd, 'next.yaml')
  writeFileSync(file, fullFile)
  const good = await check(t, { yaml: 'not: read' }, [file], { PORT: 'eighty' })
  t.deepEqual(good, { code: 0, output: [`${file}: 2 services, 4 routes`], errors: '' })
  writeFileSync(file, 'servces: {}')
  const bad = await check(t, {}, [file])
  t.is(bad.code, 1)
  t.deepEqual(bad.output, [
    `${file}:1:1 servces: found an unknown key (did you mean \`services\`?), expected services`,
  ])
})

test('a file that is not there is a finding', async (t) => {
  const { code, output } = await check(t, {}, ['nowhere.yaml'])
  t.is(code, 1)
  t.deepEqual(output, [
    'nowhere.yaml:1:1: found "nowhere.yaml" (no such file), expected a YAML file that can be read',
  ])
})

test('where there is no gateway.yaml at all, that is said and is no fault', async (t) => {
  t.deepEqual(await check(t, {}, [], { CARTS_SERVICE_URL: 'http://a:1' }), {
    code: 0,
    output: ['gateway.yaml (not there): 1 service, 1 route'],
    errors: '',
  })
})

const doubtful: Record<string, readonly [service: string, warning: RegExp]> = {
  'scope where nobody is asked who he is': [
    'urls: http://a:1, auth: none, scope: x',
    /scope=x has no effect/,
  ],
  'inject where nobody is asked who he is': [
    'urls: http://a:1, auth: none, inject: google',
    /inject=google has no effect/,
  ],
  'strip that cuts nothing': ['path: [/a/b], strip: /b', /nothing is cut/],
  'a path of the gateway’s own': ['path: /docs/x', /the gateway's own/],
  'a share for a canary that is none': [
    'urls: http://a:1, canary-percent: 5',
    /canary-percent has no effect without canary-of/,
  ],
  'a header for a canary that is none': [
    'urls: http://a:1, canary-header: X-Canary=1',
    /canary-header has no effect without canary-of/,
  ],
  'a share of copies that go nowhere': [
    'urls: http://a:1, mirror-percent: 5',
    /mirror-percent has no effect without mirror-to/,
  ],
  'a service that is switched off': ['urls: http://a:1, enable: false', /nobody reaches it/],
}
for (const [what, [service, warning]] of Object.entries(doubtful)) {
  test(`${what} is a warning, and exit 0`, async (t) => {
    const { code, output } = await check(t, { yaml: `services:\n  one: { ${service} }\n` })
    t.is(code, 0)
    t.is(output.length, 2)
    t.regex(output[0] ?? '', /^gateway\.yaml: warning: service one/)
    t.regex(output[0] ?? '', warning)
  })
}

test('a scope that one guarded path asks for is no reason to warn', async (t) => {
  const yaml = 'services:\n  a: { path: [/a, /a/me; auth=required], auth: none, scope: x }\n'
  t.deepEqual((await check(t, { yaml })).output, ['gateway.yaml: 1 service, 2 routes'])
})

test('--json prints the findings as JSON', async (t) => {
  const yaml = 'services:\n  a: { auth: non }\n'
  const { code, output } = await check(t, { yaml }, ['--json'], { PORT: 'eighty' })
  t.is(code, 1)
  t.deepEqual(JSON.parse(output.join('\n')), {
    file: 'gateway.yaml',
    ok: false,
    findings: [
      {
        severity: 'error',
        variable: 'PORT',
        found: '"eighty"',
        expected: 'a port from 0 (any free one) to 65535',
      },
      {
        severity: 'error',
        file: 'gateway.yaml',
        line: 2,
        column: 14,
        key: 'services.a.auth',
        found: '"non"',
        expected: 'none, optional or required',
      },
    ],
  })
  const good = await check(t, { yaml: fullFile }, ['--json'])
  t.is(good.code, 0)
  t.like(JSON.parse(good.output.join('\n')), { ok: true, services: 2, routes: 4, findings: [] })
})

for (const args of [['a.yaml', 'b.yaml'], ['--nope']]) {
  test(`munjigi check ${args.join(' ')} shows how it is called, and is exit 2`, async (t) => {
    const { code, output, errors } = await check(t, {}, args)
    t.is(code, 2)
    t.deepEqual(output, [])
    t.regex(errors, /^ {2}munjigi check <file>/m)
  })
}
