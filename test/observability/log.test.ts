import test from 'ava'
import { type AccessEntry, createLog, type GatewayLog } from '../../src/observability/log.ts'

type Level = Parameters<typeof createLog>[0]['level']

function logTo(format: 'people' | 'json', level: Level = 'info') {
  const lines: string[] = []
  return { log: createLog({ level, format, write: (line) => lines.push(line) }), lines }
}

const entry: AccessEntry = {
  requestId: '7f1c3a52-0000-4000-8000-000000000000',
  method: 'POST',
  path: '/api/user/login',
  status: 200,
  durationMs: 3.2,
  clientAddress: '127.0.0.1',
  bytesSent: 12,
  service: 'auth',
  instance: '127.0.0.1:8001',
  attempts: 1,
}

function sayEverything(log: GatewayLog): void {
  log.debug({ n: 1 }, 'a detail')
  log.info({ n: 2 }, 'a fact')
  log.warn({ n: 3 }, 'a worry')
  log.error({ n: 4, stack: 'Error: x\n    at y' }, 'a fault')
  log.access(entry)
}

test('in development a request is one line that is readable at a glance', (t) => {
  const { log, lines } = logTo('people')
  log.access(entry)
  t.deepEqual(lines, ['→ POST /api/user/login  auth@127.0.0.1:8001  200  3.2 ms\n'])
})

test('in development a request that the gateway answered itself says so', (t) => {
  const { log, lines } = logTo('people')
  const { service, instance, attempts, ...own } = entry
  log.access({ ...own, method: 'GET', path: '/livez', durationMs: 0.04 })
  t.deepEqual(lines, ['→ GET /livez  gateway  200  0.0 ms\n'])
})

test('in development further attempts and the code of an error stand behind', (t) => {
  const { log, lines } = logTo('people')
  log.access({ ...entry, status: 502, attempts: 2, errorCode: 'upstream_refused' })
  t.deepEqual(lines, [
    '→ POST /api/user/login  auth@127.0.0.1:8001  502  3.2 ms  attempt 2  upstream_refused\n',
  ])
})

test('in development a service without an instance is told from one with', (t) => {
  const { log, lines } = logTo('people')
  log.access({ ...entry, instance: undefined, status: 503, attempts: 0, errorCode: 'no_instance' })
  t.deepEqual(lines, ['→ POST /api/user/login  auth@-  503  3.2 ms  no_instance\n'])
})

test('in development levels other than info are named, and a stack stands below its line', (t) => {
  const { log, lines } = logTo('people', 'debug')
  sayEverything(log)
  t.deepEqual(lines.slice(0, 4), [
    'debug: a detail\n',
    'a fact\n',
    'warn: a worry\n',
    'error: a fault\n  Error: x\n      at y\n',
  ])
})

test('in production a line is one JSON object with a time and a level in words', (t) => {
  const { log, lines } = logTo('json', 'debug')
  const before = Date.now()
  sayEverything(log)
  t.is(lines.length, 5)
  const objects = lines.map((line) => JSON.parse(line))
  t.deepEqual(
    objects.map(({ level, msg }) => [level, msg]),
    [
      ['debug', 'a detail'],
      ['info', 'a fact'],
      ['warn', 'a worry'],
      ['error', 'a fault'],
      ['info', 'request'],
    ],
  )
  for (const [i, line] of lines.entries()) {
    t.is(line.indexOf('\n'), line.length - 1)
    t.true(Date.parse(objects[i].time) >= before - 1 && Date.parse(objects[i].time) <= Date.now())
  }
  t.is(objects[1].n, 2)
  t.is(objects[3].stack, 'Error: x\n    at y')
})

test('in production a request is what was measured of it, and nothing else', (t) => {
  const { log, lines } = logTo('json')
  log.access({ ...entry, errorCode: undefined })
  const { time, ...rest } = JSON.parse(lines[0]!)
  t.deepEqual(rest, { level: 'info', msg: 'request', ...entry })
})

for (const format of ['people', 'json'] as const) {
  const levels: readonly Level[] = ['debug', 'info', 'warn', 'error', 'silent']
  const expected = { debug: 5, info: 4, warn: 2, error: 1, silent: 0 }
  for (const level of levels) {
    test(`${format}: the level ${level} lets ${expected[level]} of five lines through`, (t) => {
      const { log, lines } = logTo(format, level)
      sayEverything(log)
      t.is(lines.length, expected[level])
    })
  }

  test(`${format}: nothing that is logged can begin a new line or move a terminal's cursor`, (t) => {
    const { log, lines } = logTo(format)
    const hostile =
      'x\r\n→ GET /forged  auth@1.2.3.4  200\n\x1b[2J\x1b]0;title\x07\x08\x7f\x9b31m\u2028\u2029\u202etxt.exe\u2066\0'
    log.access({
      ...entry,
      method: hostile,
      path: hostile,
      service: hostile,
      instance: hostile,
      errorCode: hostile,
      requestId: hostile,
      clientAddress: hostile,
    })
    log.warn({ detail: hostile, stack: hostile }, hostile)
    t.is(lines.length, 2)
    const text = lines.join('')
    // A stack may have lines; they cannot be taken for others', since they are set in.
    for (const line of text.split('\n')) t.false(line.startsWith('→ GET /forged'), line)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    t.notRegex(text, /[\x00-\x09\x0b-\x1f]/)
    // JSON is for collectors: what is a character to them need not be harmless on a terminal.
    if (format === 'people') t.notRegex(text, /[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/)
  })
}

test('a stack with Windows line ends and tabs stays readable', (t) => {
  const { log, lines } = logTo('people')
  log.error({ stack: 'Error: x\r\n\tat y' }, 'a fault')
  t.deepEqual(lines, ['error: a fault\n  Error: x\n    at y\n'])
})

test('of several workers no path and no subject make a line longer than a pipe keeps together', (t) => {
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  const path = `/${'"'.repeat(16_000)}`
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const subject = '"'.repeat(1024)
  createLog({ level: 'info', format: 'json', worker: 2, write }).access({ ...entry, path, traceId, subject })
  t.true(Buffer.byteLength(lines[0]!) <= 4096)
  t.is(JSON.parse(lines[0]!).path, `${path.slice(0, 1500)}…`)
  createLog({ level: 'info', format: 'json', write }).access({ ...entry, path })
  t.is(JSON.parse(lines[1]!).path, path, 'alone it may be as long as it likes')
})

for (const worst of ['"', '\u0001', '\u20ac', '\ud800', '\u{1f600}']) {
  test(`of several workers a line is one that a pipe keeps together, of ${JSON.stringify(worst)} as well`, (t) => {
    const lines: string[] = []
    const log = createLog({
      level: 'info',
      format: 'json',
      worker: 2,
      write: (line) => void lines.push(line),
    })
    const requestId = 'x'.repeat(128)
    log.access({ ...entry, requestId, path: worst.repeat(5000), subject: worst.repeat(1024) })
    t.true(Buffer.byteLength(lines[0]!) <= 4096)
    t.true(JSON.parse(lines[0]!).path.startsWith(worst))
    t.true(JSON.parse(lines[0]!).subject.startsWith(worst))
  })
}

test('a line is what JSON makes of its members, whatever characters they have', (t) => {
  const { log, lines } = logTo('json')
  const strange = [
    '',
    '"',
    '\\',
    '\n',
    '\x7f',
    '\x80',
    'é',
    '\u2028',
    '\ud800',
    'x\udfff',
    '\u{1f600}',
    '</script>',
  ]
  for (const text of strange) {
    const whole: Required<AccessEntry> = {
      ...{
        requestId: text,
        traceId: text,
        method: text,
        route: text,
        path: text,
        status: 599,
        durationMs: 1.25,
      },
      ...{ clientAddress: text, subject: text, bytesReceived: 1, bytesSent: 2 ** 53 - 1, service: text },
      ...{ instance: text, attempts: 3, cache: text, errorCode: text },
    }
    log.access(whole)
    const line = lines.at(-1)!
    t.is(line.slice(line.indexOf('"requestId"') - 1), `,${JSON.stringify(whole).slice(1)}\n`)
  }
})

test('durations have two decimals', (t) => {
  const { log, lines } = logTo('json')
  for (const durationMs of [0, 0.004, 1.005, 12.3456, 86_400_000.126]) log.access({ ...entry, durationMs })
  t.deepEqual(
    lines.map((line) => JSON.parse(line).durationMs),
    [0, 0, 1, 12.35, 86_400_000.13],
  )
})
