import test, { type ExecutionContext } from 'ava'
import { runCommand } from '../../src/commands/run.ts'
import { configFolder } from '../support/config.ts'
import { startGateway } from '../support/gateway.ts'
import { deadOrigin, httpUpstream } from '../support/upstream.ts'

/** Runs `munjigi health …` with this environment, in a folder of its own. */
async function health(
  t: ExecutionContext,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  dotEnv = '',
) {
  const [output, errors]: [string[], string[]] = [[], []]
  const print = (line: string) => void output.push(line)
  const complain = (line: string) => void errors.push(line)
  const context = { env, cwd: configFolder(t, { dotEnv }), print, complain }
  return { code: await runCommand(['health', ...args], context), output, errors }
}

const at = (url: string) => ({ HOST: '127.0.0.1', PORT: new URL(url).port })

test('a gateway that is alive and ready is healthy, in one line', async (t) => {
  const { url } = await startGateway(t, {})
  t.deepEqual(await health(t, [], at(url)), { code: 0, output: [`${url}/livez: 200 ok`], errors: [] })
  t.deepEqual(await health(t, ['--ready'], at(url)), {
    code: 0,
    output: [`${url}/readyz: 200 ready`],
    errors: [],
  })
})

test('.env says where the gateway is, as it does for its start, and a prefix changes nothing', async (t) => {
  const { url } = await startGateway(t, { env: { ROUTE_PREFIX: '/e' } })
  const { code, output } = await health(
    t,
    [],
    {},
    `HOST=127.0.0.1\nPORT=${new URL(url).port}\nROUTE_PREFIX=/e\n`,
  )
  t.deepEqual({ code, output }, { code: 0, output: [`${url}/livez: 200 ok`] })
})

test('what listens on every address is asked at the one of this machine', async (t) => {
  const { url } = await startGateway(t, {})
  const { code } = await health(t, [], { ...at(url), HOST: '0.0.0.0' })
  t.is(code, 0)
})

test('where nothing listens it is not healthy, and the line says why', async (t) => {
  const url = await deadOrigin()
  const { code, output, errors } = await health(t, [], at(url))
  t.deepEqual({ code, output }, { code: 1, output: [] })
  t.deepEqual(errors, [`munjigi: ${url}/livez does not answer: ECONNREFUSED`])
})

test('a gateway that is not ready is alive and fails --ready', async (t) => {
  const { origin } = await httpUpstream(t, (request, response) => {
    response.statusCode = request.url === '/livez' ? 200 : 503
    response.end(JSON.stringify({ status: request.url === '/livez' ? 'ok' : 'starting' }))
  })
  t.is((await health(t, [], at(origin))).code, 0)
  const { code, errors } = await health(t, ['--ready'], at(origin))
  t.deepEqual({ code, errors }, { code: 1, errors: [`munjigi: ${origin}/readyz: 503 starting`] })
})

test('of what answers something else nothing is printed but its status', async (t) => {
  const { origin } = await httpUpstream(t, (_request, response) => {
    response.statusCode = 404
    response.end('\u001b[2Jnot a gateway')
  })
  const { code, errors } = await health(t, [], at(origin))
  t.deepEqual({ code, errors }, { code: 1, errors: [`munjigi: ${origin}/livez: 404 no word on it`] })
})

test('a bad PORT, any free one, and an unknown option are told apart', async (t) => {
  const bad = await health(t, [], { PORT: 'http' })
  t.is(bad.code, 1)
  t.regex(bad.errors.join('\n'), /PORT/)
  t.regex((await health(t, [], { PORT: '0' })).errors.join('\n'), /PORT is 0/)
  t.is((await health(t, ['--live'], {})).code, 2)
})
