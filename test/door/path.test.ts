import test, { type ExecutionContext } from 'ava'
import { checkTarget } from '../../src/door/path.ts'
import { GatewayError } from '../../src/errors.ts'
import { ambiguousPaths, decodeFully, generateTarget, plainPaths } from '../support/ambiguous-paths.ts'
import { cpuMs } from '../support/figures.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { seeded } from '../support/seeded.ts'
import { httpUpstream } from '../support/upstream.ts'

for (const [what, target] of Object.entries(ambiguousPaths)) {
  test(`${what} is refused`, (t) => {
    const error = t.throws(() => checkTarget(target), { instanceOf: GatewayError })
    t.is(error.code, 'ambiguous_path')
  })
}

for (const [what, [sent, forwarded]] of Object.entries(plainPaths)) {
  test(what, (t) => {
    t.is(checkTarget(sent).target, forwarded)
    t.is(checkTarget(sent).path, forwarded.replace(/\?.*/, ''))
  })
}

test('an absolute URL without a path means /', (t) => {
  t.is(checkTarget('http://elsewhere').target, '/')
  t.is(checkTarget('http://elsewhere?a=1').target, '/?a=1')
})

for (const [what, target] of Object.entries({
  'a space': '/a b',
  'a tab': '/a\tb',
  'a NUL': '/a\0b',
  'a line break': '/a\r\nb',
  'a form feed in the query': '/a?b\fc',
  'a tab in the query': '/a?b\tc',
  'a line break in the query': '/a?b\r\nX-Injected: c',
  'a DEL in the query': '/a?b\x7fc',
  'a character beyond Latin-1': '/a한',
  'a character beyond Latin-1 in the query': '/a?한',
  nothing: '',
  'an asterisk': '*',
})) {
  test(`${what} in a target is refused`, (t) => {
    const error = t.throws(() => checkTarget(target), { instanceOf: GatewayError })
    t.is(error.code, 'ambiguous_path')
  })
}

test('what is accepted is the same to everybody: checked again, parsed as a URL, decoded', (t) => {
  const random = seeded(20261101)
  let accepted = 0
  for (let i = 0; i < 40_000; i += 1) {
    const target = generateTarget(random)
    const checked = checkedOrUndefined(target)
    if (checked === undefined) continue
    accepted += 1
    const again = checkTarget(checked.target)
    if (again.target !== checked.target || again.path !== checked.path) {
      t.fail(`${target} became ${checked.target}, and that became ${again.target}`)
    }
    const { pathname } = new URL(checked.target, 'http://house')
    if (pathname !== checked.path) t.fail(`${checked.path} is ${pathname} to a URL parser`)
    const segments = decodeFully(checked.path).split(/[/\\]/)
    if (segments.some((segment) => /^\.{1,2}(?:;|$)/.test(segment))) t.fail(`${checked.path} hides a ..`)
    if (segments.length !== checked.path.split('/').length) t.fail(`${checked.path} hides a separator`)
  }
  t.true(accepted > 1000, `only ${accepted} generated targets were accepted: the test shows little`)
})

test('a path of 16 KB is read in a few milliseconds, whatever it is made of', (t) => {
  const pieces = [
    '/a',
    '/',
    '/.',
    '/..',
    '.',
    '%2e',
    '%25',
    ';',
    '/;',
    '%',
    'a',
    '/%41',
    '@',
    '%C3%A9',
    '/a.',
  ]
  for (const piece of pieces) {
    for (const end of ['', '"', '%', '/..', '\n']) {
      for (const start of ['/', 'http://', 'http://a/']) {
        const target = start + piece.repeat(16_384 / piece.length) + end
        const took = cpuMs(() => checkedOrUndefined(target))
        t.true(took < 500, `${start}${piece}…${end} took ${took} ms`)
      }
    }
  }
})

test('what is cut from the front of the path cannot be confused by escapes', async (t) => {
  const received: string[] = []
  const house = await httpUpstream(t, (request, response) => {
    received.push(request.url ?? '')
    response.end()
  })
  const { port } = await startGatewayFor(t, house.origin, { path: '/api/users', strip: '/api' })
  t.is(await statusFor(t, port, '/api/%75sers?a=%75'), '200')
  t.is(await statusFor(t, port, '/%61pi/users'), '200')
  t.is(await statusFor(t, port, '/api/users2'), '404')
  t.deepEqual(received, ['/users?a=%75', '/users'])
})

test('targets that HTTP does not allow are answered with 400 and reach no house', async (t) => {
  const { received, port } = await startEcho(t)
  for (const target of [
    '',
    '/api/house\x00',
    '/api/house\tb',
    '/api/house b',
    '/api/house?a\tb',
    '/api/house?\x7f',
  ]) {
    t.is(await statusFor(t, port, target), '400', JSON.stringify(target))
  }
  t.deepEqual(received, [])
})

async function startEcho(t: ExecutionContext) {
  const received: string[] = []
  const house = await httpUpstream(t, (request, response) => {
    received.push(request.url ?? '')
    response.end()
  })
  const gateway = await startGatewayFor(t, house.origin, { path: '/' })
  return { ...gateway, received }
}

/** Sends a target as it is, on a connection of its own. */
async function statusFor(t: ExecutionContext, port: number, target: string): Promise<string | undefined> {
  const client = await rawClient(t, port)
  client.send(`GET ${target} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n`)
  const { text } = await client.ended()
  return /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]
}

function checkedOrUndefined(target: string): ReturnType<typeof checkTarget> | undefined {
  try {
    return checkTarget(target)
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'ambiguous_path') return undefined
    throw error
  }
}
