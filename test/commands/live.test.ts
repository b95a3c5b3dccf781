import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { runCommand } from '../../src/commands/run.ts'
import { configFolder } from '../support/config.ts'
import { startGateway } from '../support/gateway.ts'
import { bareEnvironment, startProcess } from '../support/processes.ts'
import { publishedServices } from '../support/published-services.ts'
import { deadOrigin, httpUpstream } from '../support/upstream.ts'

type Env = Readonly<Record<string, string>>

/** Runs `munjigi …` in a folder of its own. */
async function munjigi(t: ExecutionContext, args: readonly string[], env: Env = {}, dotEnv = '') {
  const [output, errors]: [string[], string[]] = [[], []]
  const print = (line: string) => void output.push(line)
  const complain = (line: string) => void errors.push(line)
  const context = { env, cwd: configFolder(t, { dotEnv }), print, complain }
  return { code: await runCommand(args, context), output, errors: errors.join('\n') }
}

const services = {
  auth: {
    urls: ['http://127.0.0.1:8', 'http://127.0.0.1:9'],
    path: ['/api/users', '/api/user/me; auth=required; scope=profile'],
    strip: '/api',
    auth: 'none',
    openapi: false,
  },
  shop: { urls: 'http://127.0.0.1:7', auth: 'optional', retries: 2, balance: 'round-robin', openapi: false },
}
/** What changes from run to run. */
const steady = (lines: readonly string[]) =>
  lines.map((line) => line.replace(/heard of .* ago/, 'heard of … ago').replace(/:\d{5}\b/g, ':PORT'))

test('routes shows the live table in aligned columns', async (t) => {
  const { url } = await startGateway(t, { file: { services } })
  const { code, output, errors } = await munjigi(t, ['routes', '--url', url])
  t.like({ code, errors }, { code: 0, errors: '' })
  t.deepEqual(steady(output), [
    'table 1: 3 routes, 2 services',
    'source static: live, heard of … ago',
    '',
    'PREFIX        SERVICE  SOURCE  STRIP      AUTH      SCOPES   TIMEOUT  RETRIES  BALANCE      USABLE',
    '/api/user/me  auth     static  /api       required  profile  15 s     1        p2c          2 of 2',
    '/api/users    auth     static  /api       none      -        15 s     1        p2c          2 of 2',
    '/api/shop     shop     static  /api/shop  optional  -        15 s     2        round-robin  1 of 1',
    '',
    'auth:',
    '  127.0.0.1:8  usable  0 in flight',
    '  127.0.0.1:9  usable  0 in flight',
    'shop:',
    '  127.0.0.1:7  usable  0 in flight',
  ])
})

test('routes shows an ejected instance, and what the address book could not settle', async (t) => {
  const dead = await deadOrigin()
  const house = await httpUpstream(t, (_request, response) => response.end('house'))
  const urls = [dead, house.origin].sort()
  const file = {
    services: {
      house: { urls, path: ['/x', '/docs'], auth: 'none', balance: 'round-robin', openapi: false },
    },
  }
  const { url } = await startGateway(t, { file })
  for (let i = 0; i < 12; i += 1) await fetch(`${url}/x`)
  const { output } = await munjigi(t, ['routes', '--url', url])
  const text = output.join('\n')
  t.true(
    output.some((line) => / not used {2}0 in flight {2}ejected for another \d+ s /.test(line)),
    text,
  )
  t.regex(text, /^\/x .* 1 of 2$/m)
  t.is(output.at(-1), "problem: service house claims /docs, which is the gateway's own: left out")
})

/** A service that makes use of everything, beside those that it needs for it. */
const elaborate = {
  shop: {
    urls: ['http://127.0.0.1:8; weight=3', 'http://127.0.0.1:9', 'http://127.0.0.1:7; weight=0'],
    scope: 'buy',
    inject: 'google',
    openapi: false,
    concurrency: 5,
    queue: 7,
    'queue-timeout': '2s',
    rate: '10/s per address, 1000/h',
    retries: 2,
    'retry-budget': '30%',
    'slow-start': '30s',
    'eject-after': 1,
    'eject-time': '5s',
    'eject-share': '60%',
    panic: '0%',
    timeout: '3s',
  },
  next: { urls: 'http://127.0.0.1:6', 'canary-of': 'shop', 'canary-percent': 5, openapi: false },
  plain: {
    urls: 'http://127.0.0.1:5',
    'mirror-to': 'copy',
    concurrency: 1,
    queue: 0,
    'eject-after': 0,
    openapi: false,
  },
  copy: { urls: 'http://127.0.0.1:4', openapi: false },
}

test('routes shows weights, limits, canaries and mirrors', async (t) => {
  const { url } = await startGateway(t, { file: { services: elaborate } })
  const { output } = await munjigi(t, ['routes', '--url', url])
  const text = output.join('\n')
  t.regex(text, /^PREFIX .* INJECT .* LIMIT +CANARY +MIRROR +USABLE$/m)
  t.regex(text, /^\/api\/shop .* buy +google +3 s +2 +p2c +5 \(queue 7\) +5% next +- +2 of 3$/m)
  t.regex(text, /^\/api\/plain .* 1 \(queue 0\) +- +100% copy +1 of 1$/m)
  t.regex(text, /^ {2}127\.0\.0\.1:7 +not used +0 in flight +weight 0 +its weight is 0$/m)
  t.regex(text, /^ {2}127\.0\.0\.1:8 +usable +0 in flight +weight 3$/m)
  t.regex(text, /^ {2}127\.0\.0\.1:9 +usable +0 in flight +weight 1$/m)
})

test('explain tells of what a service has been given beside its path', async (t) => {
  const { url } = await startGateway(t, { file: { services: elaborate } })
  const linesOf = async (path: string) => (await munjigi(t, ['explain', 'GET', path, '--url', url])).output
  const shop = (await linesOf('/api/shop')).join('\n')
  for (const line of [
    'inject      the caller.s own token of google',
    'canary      5 % of the requests are answered by next',
    'retries     1 where no connection came about',
    "no more than 30 % of the service's requests",
    'rate        10 requests in 1 s for each address; then 429',
    '1000 requests in 60 min for each user; then 429',
    'ejection    after 1 failure, for 5 s the first time',
    'at most 60 % of the instances at once, but always one of two or more$',
    'slow start  a new instance comes to its share within 30 s',
    'limit       5 at a time for each instance; 7 more wait, for 2 s at most',
    'timeouts    connection 60 s, reply 3 s',
  ]) {
    t.regex(shop, new RegExp(line, 'm'))
  }
  t.notRegex(shop, /^settings/m, 'everything has been told in words')
  const plain = (await linesOf('/api/plain')).join('\n')
  t.regex(plain, /^ejection +never/m)
  t.regex(plain, /^limit +1 at a time for each instance; nobody waits$/m)
  t.regex(plain, /^mirror +100 % of the requests are copied to copy \(127\.0\.0\.1:4\)$/m)
})

test('explain tells who answers where a service has no instance and its canary has', async (t) => {
  const services = (percent: number) => ({
    users: { urls: 'http://127.0.0.1:9; weight=0', openapi: false },
    next: { urls: 'http://127.0.0.1:8', 'canary-of': 'users', 'canary-percent': percent, openapi: false },
  })
  const explained = async (percent: number) => {
    const { url } = await startGateway(t, { file: { services: services(percent) } })
    return (await munjigi(t, ['explain', 'GET', '/api/users', '--url', url])).output.join('\n')
  }
  t.regex(await explained(100), /^answer +forwarded to next, its canary$/m)
  t.regex(
    await explained(5),
    /^answer +503 no_instance: No instance of users is available\. But some requests are forwarded to its canary, next$/m,
  )
})

test('routes shows that an instance has just come', async (t) => {
  const origin = 'http://127.0.0.1:8'
  const services = publishedServices([origin], { 'slow-start': 3_600_000 })
  const { url } = await startGateway(t, { services })
  services.publish([origin, 'http://127.0.0.1:9'])
  const { output } = await munjigi(t, ['routes', '--url', url])
  const text = output.join('\n')
  t.regex(text, /^ {2}127\.0\.0\.1:9 +usable +0 in flight +slow start: comes to its share within \d+ s$/m)
  t.regex(text, /^ {2}127\.0\.0\.1:8 +usable +0 in flight$/m)
})

test('explain tells people what becomes of a request', async (t) => {
  const { url } = await startGateway(t, { file: { services } })
  const { code, output } = await munjigi(t, ['explain', 'GET', '/api/users/1?x=1', '--url', url])
  t.is(code, 0)
  const lines = steady(output)
  const [before, after] = [
    lines.findIndex((line) => line.startsWith('removed')),
    lines.findIndex((line) => line.startsWith('added')),
  ]
  t.deepEqual(lines.slice(0, before), [
    'request    GET /api/users/1?x=1',
    'answer     forwarded to auth',
    'path       /api/users/1 (as it was sent)',
    'route      /api/users → auth, the longest prefix that the path is under',
    '           source static: live, heard of … ago',
    'strip      /api: the house sees GET /users/1?x=1',
    'auth       none: nobody is asked who he is',
    'instances  2 of 2 come into question, by p2c',
    '           127.0.0.1:8  usable  0 in flight',
    '           127.0.0.1:9  usable  0 in flight',
    'timeouts   connection 60 s, reply 15 s, silence in a body 60 s',
    'retries    1 where no connection came about: it was not sent',
    '           1 where the connection broke before a reply; with a body 0',
    "           no more than 20 % of the service's requests of the last 10 s, but 3 a second",
    'ejection   after 5 failures in a row, for 30 s the first time',
    '           at most 10 % of the instances at once, but always one of two or more; where less than 50 % would be left, all of them are used',
  ])
  t.deepEqual(lines.slice(after), [
    'added      via: 1.1 munjigi',
    '           x-request-id: <id of the request>',
    '           x-forwarded-for: 127.0.0.1',
    '           x-forwarded-proto: http',
    '           forwarded: for=127.0.0.1;host="127.0.0.1:PORT";proto=http',
    '           x-forwarded-host: 127.0.0.1:PORT',
    '           x-request-timeout-ms: 15000',
  ])
})

test('explain tells why a request is refused, and what would be asked of its caller', async (t) => {
  const { url } = await startGateway(t, { file: { services } })
  const told = async (...args: string[]) => (await munjigi(t, ['explain', ...args, '--url', url])).output
  t.deepEqual(await told('GET', '/api/../x'), [
    'request  GET /api/../x',
    'answer   400 ambiguous_path: The request path has a . or .. segment.',
  ])
  t.deepEqual(await told('get', '/docs'), [
    'request  GET /docs',
    "answer   the gateway's own: no house hears of it",
    'path     /docs (as it was sent)',
  ])
  t.deepEqual(await told('GET', '/api/USERS'), [
    'request  GET /api/USERS',
    'answer   404 not_found: No route leads on from this path.',
    'path     /api/USERS (as it was sent)',
    'route    none; similar: /api/users (auth)',
  ])
  t.true(
    (await told('GET', '/api/user/me')).includes(
      'auth       required, scope profile: an access token is asked for',
    ),
  )
})

test('--json prints what the endpoints say', async (t) => {
  const { url } = await startGateway(t, { file: { services } })
  const routes = await munjigi(t, ['routes', '--json', '--url', url])
  t.like(JSON.parse(routes.output.join('\n')), { table: { routes: 3, services: 2 } })
  const explained = await munjigi(t, ['explain', 'GET', '/api/users', '--json', '--url', url])
  t.like(JSON.parse(explained.output.join('\n')), { outcome: 'forwarded', forwardedAs: 'GET /users' })
})

test('nothing that a service says of itself moves the cursor of a terminal', async (t) => {
  const { configured } = publishedServices([])
  const name = 'ho\u001b[2Juse'
  const source = {
    ...configured.source,
    async watch(
      _options: unknown,
      publish: (services: readonly object[]) => void,
      { signal }: { signal: AbortSignal },
    ) {
      publish([
        { name, instances: [], description: { enable: true, path: ['/x'], auth: 'none', openapi: false } },
      ])
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    },
  }
  const hostile = { configured: { ...configured, source }, publish() {} } as ReturnType<
    typeof publishedServices
  >
  const { url } = await startGateway(t, { services: hostile })
  const { output } = await munjigi(t, ['routes', '--url', url])
  t.regex(output.join('\n'), /ho\?\[2Juse/)
  t.notRegex(output.join(''), /\p{Cc}/u)
})

test('where no gateway answers, the settings that say where are named', async (t) => {
  for (const command of [['routes'], ['explain', 'GET', '/']]) {
    const { code, output, errors } = await munjigi(t, command, { PORT: '1', HOST: '127.0.0.1' })
    t.is(code, 1)
    t.deepEqual(output, [])
    t.regex(
      errors,
      /^munjigi: no gateway answers at http:\/\/127\.0\.0\.1:1 \(ECONNREFUSED\).*PORT, HOST, ADMIN_PORT/,
    )
  }
})

test('the gateway is looked for where the same environment would start it', async (t) => {
  const where = async (env: Env, dotEnv?: string) =>
    / at (\S+)/.exec(
      (await munjigi(t, ['routes'], { PORT: '1', ADMIN_PORT: '', ...env }, dotEnv)).errors,
    )?.[1]
  t.is(await where({ HOST: '0.0.0.0' }), 'http://127.0.0.1:1')
  t.is(await where({ HOST: '::1' }), 'http://[::1]:1')
  t.is(await where({ ROUTE_PREFIX: '/e' }), 'http://localhost:1/e')
  t.is(await where({ ADMIN_PORT: '2' }), 'http://127.0.0.1:2')
  t.is(await where({}, 'ADMIN_PORT=2\nADMIN_HOST=127.0.0.2\n'), 'http://127.0.0.2:2')
  const free = await munjigi(t, ['routes'], { PORT: '0' })
  t.regex(free.errors, /PORT is 0, any free one: say where the gateway is by --url/)
  const faulty = await munjigi(t, ['routes'], { PORT: 'eighty' })
  t.is(faulty.code, 1)
  t.regex(faulty.errors, /PORT: found "eighty"/)
})

test('a gateway that refuses is told, with the setting that would have it answer', async (t) => {
  const adminToken = 'an-admin-token-of-24-chars'
  const { port, adminUrl } = await startGateway(t, { env: { ADMIN_TOKEN: adminToken, HOST: '0.0.0.0' } })
  t.is(adminUrl, undefined)
  // By a name that is not this machine's own, though it leads here.
  const url = `http://0.0.0.0:${port}`
  const without = await munjigi(t, ['routes', '--url', url])
  t.is(without.code, 1)
  t.regex(without.errors, /refuses \(401: The Host of .*\): set ADMIN_TOKEN in the environment or \.env/)
  const wrong = await munjigi(t, ['routes', '--url', url], { ADMIN_TOKEN: 'another' })
  t.is(wrong.code, 1)
  t.regex(wrong.errors, /refuses .*: ADMIN_TOKEN of the environment or \.env is not that of the gateway$/)
  t.false(wrong.errors.includes('another'))
  t.is((await munjigi(t, ['routes', '--url', url], {}, `ADMIN_TOKEN=${adminToken}`)).code, 0)
})

test('what is no admin endpoint is told as that', async (t) => {
  const page = await httpUpstream(t, (request, response) => {
    if (request.url?.startsWith('/moved')) response.writeHead(302, { location: '/' })
    response.end('<html>')
  })
  const other = await munjigi(t, ['routes', '--url', page.origin])
  t.is(other.code, 1)
  t.regex(other.errors, /is no admin endpoint of a gateway \(200\)$/)
  t.regex((await munjigi(t, ['routes', '--url', `${page.origin}/moved`])).errors, /gateway \(302\)$/)
  const { url } = await startGateway(t, { env: { ADMIN_PORT: '0' } })
  t.regex((await munjigi(t, ['routes', '--url', url])).errors, /there are no admin endpoints at .*ADMIN_PORT/)
})

for (const args of [
  ['routes', 'x'],
  ['routes', '--nope'],
  ['explain'],
  ['explain', 'GET'],
  ['explain', 'GET', '/', '/'],
]) {
  test(`munjigi ${args.join(' ')} shows how it is called, and is exit 2`, async (t) => {
    const { code, output, errors } = await munjigi(t, args)
    t.is(code, 2)
    t.deepEqual(output, [])
    t.regex(errors, new RegExp(`^ {2}munjigi ${args[0]} `, 'm'))
  })
}

test('as processes: a gateway in production is asked on its admin port', async (t) => {
  const cwd = configFolder(t, { yaml: JSON.stringify({ services }) })
  const env = {
    NODE_ENV: 'production',
    PUBLIC_URL: 'https://www.jinmini.com',
    HOST: '127.0.0.1',
    PORT: '0',
    DRAIN_DELAY: '0s',
  }
  const gateway = startProcess(t, 'src/main.ts', env, { cwd })
  const [, main = ''] = await gateway.printed(/munjigi listens on (http:[\w.:/]+)/)
  const [, admin = ''] = await gateway.printed(/admin endpoints on (http:[\w.:/]+)\/admin/)
  const run = (...args: string[]) =>
    new Promise<{ code: number; output: string; errors: string }>((done) => {
      const options = { cwd, env: { ...bareEnvironment, ...env, ADMIN_PORT: new URL(admin).port } }
      execFile(process.execPath, [resolve('src/munjigi.ts'), ...args], options, (error, output, errors) =>
        done({ code: error === null ? 0 : Number(error.code), output, errors }),
      )
    })
  const routes = await run('routes')
  t.like(routes, { code: 0, errors: '' })
  t.regex(routes.output, /^gateway\.yaml: current, version 1, taken over at \d{4}-/m)
  t.regex((await run('explain', 'GET', '/api/users')).output, /^strip +\/api: the house sees GET \/users$/m)
  t.like(await run('routes', '--url', main), { code: 1, output: '' })
  gateway.kill('SIGTERM')
  t.deepEqual(await gateway.exited, { code: 0, signal: null })
})
