import test, { type ExecutionContext } from 'ava'
import { checkTarget } from '../../src/door/path.ts'
import { GatewayError } from '../../src/errors.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { httpUpstream } from '../support/upstream.ts'

/** Targets that must not reach a house, since it could read them as another path; each with its name. */
const ambiguous: Readonly<Record<string, string>> = {
  'a .. segment': '/api/house/../b',
  'a .. segment at the end': '/api/house/..',
  'a . segment': '/api/./house',
  'a . segment at the end': '/api/house/.',
  'an encoded .. segment': '/api/house/%2e%2e/b',
  'an encoded .. segment in upper case': '/api/house/%2E%2E/b',
  'a half-encoded .. segment': '/api/house/.%2e/b',
  'the other half-encoded .. segment': '/api/house/%2e./b',
  'a .. segment with an empty path parameter': '/api/house/..;/b',
  'a .. segment with a path parameter': '/api/house/..;x=1/b',
  'a .. segment with an encoded semicolon': '/api/house/%2e%2e%3b/b',
  'a segment that is nothing but a path parameter': '/api/;x=1/house',
  'a segment that is nothing but an encoded path parameter': '/api/%3Bx/house',
  'an empty first segment': '//api/house',
  'an empty segment': '/api//house',
  'an empty last segment': '/api/house//',
  'nothing but slashes': '//',
  'a backslash': '/api/house\\..\\b',
  'an encoded backslash': '/api/house/..%5c..%5cb',
  'an encoded slash': '/api/house/..%2fb',
  'an encoded slash in upper case': '/api/house/a%2Fb',
  'a twice-encoded slash': '/api/house/..%252fb',
  'a twice-encoded slash whose escape is itself encoded': '/api/house/%25%32%66b',
  'a twice-encoded dot': '/api/house/%252e%252e/b',
  'a twice-encoded dot whose escape is itself encoded': '/api/house/%25%32%65%25%32%65/b',
  'a percent sign encoded three times': '/api/house/%25252e%25252e/b',
  'an encoded NUL': '/api/house/%00',
  'a twice-encoded NUL': '/api/house/%2500',
  'an encoded line feed': '/api/house/%0a',
  'an encoded carriage return': '/api/house/%0dX: y',
  'an encoded DEL': '/api/house/%7f',
  'an overlong dot': '/api/house/%c0%ae%c0%ae/b',
  'an overlong slash': '/api/house/..%c0%afb',
  'an overlong slash of three bytes': '/api/house/..%e0%80%afb',
  'an overlong slash of four bytes': '/api/house/..%f0%80%80%afb',
  'an escape that is none': '/api/house/%zz',
  'a lone percent sign': '/api/house/100%',
  'an escape that is cut off': '/api/house/%4',
  'the %u escape of old IIS': '/api/house/%u002e%u002e/b',
  'a raw non-ASCII byte': '/api/house/\xe9',
  'a fragment': '/api/house#/../b',
  'a fragment in the query': '/api/house?a#b',
  'a raw non-ASCII byte in the query': '/api/house?name=\xed\x95\x9c',
  'a quotation mark': '/api/house/"',
  'an angle bracket': '/api/house/<script>',
  'a brace': '/api/house/{id}',
  'a pipe': '/api/house/a|b',
  'an absolute URL with user information': 'http://user:secret@elsewhere/api/house',
  'an absolute URL with a .. segment': 'http://elsewhere/api/../b',
  'an absolute URL without a host': 'http:///api/house',
  'an absolute URL with a backslash in its host': 'http://elsewhere\\api/house',
  'an absolute URL of another scheme': 'ftp://elsewhere/api/house',
  'a scheme without slashes': 'http:api/house',
  'an authority': 'elsewhere:443',
  'a path that does not begin with a slash': 'api/house',
}

/** Targets that are one thing to everybody, and what a house gets. */
const plain: Readonly<Record<string, readonly [sent: string, forwarded: string]>> = {
  'an encoded letter is decoded': ['/api/%68ouse/%75sers', '/api/house/users'],
  'an encoded hyphen, dot, underscore and tilde are decoded': [
    '/api/house/a%2Db%2Ec%5Fd%7Ee',
    '/api/house/a-b.c_d~e',
  ],
  'escapes that must stay are written in upper case': ['/api/house/%ed%95%9c', '/api/house/%ED%95%9C'],
  'an encoded space stays': ['/api/house/a%20b', '/api/house/a%20b'],
  'an encoded percent sign stays': ['/api/house/100%25', '/api/house/100%25'],
  'sub-delimiters stay': ["/api/house/!$&'()*+,;=:@", "/api/house/!$&'()*+,;=:@"],
  'path parameters stay': ['/api/house/a;v=1/b', '/api/house/a;v=1/b'],
  'more dots than two are a name': ['/api/house/.../a..b/.hidden', '/api/house/.../a..b/.hidden'],
  'a trailing slash stays': ['/api/house/', '/api/house/'],
  'the query is left alone': [
    '/api/house?next=/../a//b%2e%2e%2f%00;{"a":[1]}|x',
    '/api/house?next=/../a//b%2e%2e%2f%00;{"a":[1]}|x',
  ],
  'an absolute URL loses its authority': ['http://elsewhere:81/api/house?x=1', '/api/house?x=1'],
  'an absolute URL in upper case loses its authority': ['HTTP://ELSEWHERE/api/house', '/api/house'],
}

for (const [what, target] of Object.entries(ambiguous)) {
  test(`${what} is refused`, (t) => {
    const error = t.throws(() => checkTarget(target), { instanceOf: GatewayError })
    t.is(error.code, 'ambiguous_path')
  })
}

for (const [what, [sent, forwarded]] of Object.entries(plain)) {
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
        const startedAt = performance.now()
        checkedOrUndefined(target)
        const took = performance.now() - startedAt
        t.true(took < 250, `${start}${piece}…${end} took ${took} ms`)
      }
    }
  }
})

test('a house receives the path that was matched, to the byte', async (t) => {
  const { received, port } = await startEcho(t)
  for (const [what, [sent, forwarded]] of Object.entries(plain)) {
    t.is(await statusFor(t, port, sent), '200', what)
    t.is(received.at(-1), forwarded, what)
  }
})

test('a house never sees an ambiguous path', async (t) => {
  const { received, port } = await startEcho(t)
  for (const [what, target] of Object.entries(ambiguous)) {
    if (target.includes(' ')) continue
    t.is(await statusFor(t, port, target), '400', what)
  }
  t.deepEqual(received, [])
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

/** Decodes until nothing changes, as the most eager chain of servers might. */
function decodeFully(path: string): string {
  let decoded = path
  for (;;) {
    const next = decoded.replace(/%([0-9a-f]{2})/gi, (_, hex) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    if (next === decoded) return decoded
    decoded = next
  }
}

const alphabet = [
  ...[
    '/',
    '/',
    '/',
    '.',
    '..',
    '...',
    ';',
    ':',
    '@',
    '~',
    '-',
    '_',
    '?',
    '=',
    '&',
    '+',
    ',',
    '*',
    "'",
    '(',
    '!',
  ],
  ...[
    'a',
    'b',
    'users',
    'A',
    '0',
    '%41',
    '%61',
    '%7e',
    '%2e',
    '%2E',
    '%2f',
    '%5c',
    '%25',
    '%3b',
    '%3B',
    '%3f',
  ],
  ...['%20', '%00', '%0a', '%c3%a9', '%c0%ae', '%', '%4', '\\', '#', ' ', '\t', '"', '|', '^', '`'],
  ...['%25%32', '%25%32%65', '%252', '%2', '5', 'e', 'f', '%65', '%66', '%33%62', '%2525'],
]

function generateTarget(random: () => number): string {
  const length = 1 + Math.floor(random() * 8)
  let target = '/'
  for (let i = 0; i < length; i += 1) target += alphabet[Math.floor(random() * alphabet.length)]
  return target
}

/** Park and Miller's minimal standard generator: the same targets on every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}
