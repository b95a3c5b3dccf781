import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import { connectionSchema } from '../../src/oauth/schemas.ts'
import { eachDatabase } from '../support/database.ts'
import { secretsIn } from '../support/dump.ts'
import { bearer, publicUrl, startOAuthGateway } from '../support/oauth-gateway.ts'
import {
  json as answer,
  reply,
  type ScriptedAnswer,
  startScriptedProvider,
} from '../support/scripted-provider.ts'
import { shared } from '../support/token-server.ts'

const callback = `${publicUrl}/e/oauth/kakao/callback`
const app = 'https://app.example.com/login/kakao'

eachDatabase(({ test, fresh }) => {
  const world = shared(async (t) => {
    const provider = await startScriptedProvider(t)
    const gateway = await startOAuthGateway(t, await fresh(t), {
      ...provider.env,
      ROUTE_PREFIX: '/e',
      OAUTH_REDIRECT_URIS: `${app},https://app.example.com/`,
      // Two of the providers' faults are silence; all others are to be found on a slow machine too.
      OAUTH_PROVIDER_TIMEOUT: '10s',
    })
    const rowsOf = (subject: string) =>
      gateway.sql(`select * from munjigi.connections where subject = '${subject}' order by created_at`)
    async function somebody() {
      const subject = `user-${randomUUID()}`
      const token = await gateway.tokenOf(subject)
      const headers = bearer(token)
      const connect = (body: unknown) => gateway.send('POST', '/e/oauth', { headers, body })
      return { subject, token, headers, connect }
    }
    return { ...gateway, provider, rowsOf, somebody }
  })

  test('a code becomes a connection, and the reply has a good token but no refresh token', async (t) => {
    const { provider, somebody, rowsOf, send } = await world()
    const { subject, headers, connect } = await somebody()
    const { code, accessToken, refreshToken, account } = provider.code()
    const made = await connect({ provider: 'kakao', code, state: 'its-state' })
    t.is(made.status, 201, made.text)
    connectionSchema.strict().parse(made.json)
    t.like(made.json, {
      provider: 'kakao',
      provider_user_id: account,
      state: 'active',
      access_token: accessToken,
      profile: { name: '진민', email: 'jin@example.com', email_verified: true },
    })
    t.regex(made.json.token_type, /^bearer$/i)
    t.true(made.json.expires_in > 20_000 && made.json.expires_in <= 21_599)
    t.false(made.text.includes(refreshToken))
    t.is(made.headers.get('location'), `/e/oauth/${made.json.id}`)
    t.is(made.headers.get('cache-control'), 'no-store')
    const shown = await send('GET', made.headers.get('location')!, { headers })
    t.like(shown, { status: 200, json: { id: made.json.id, access_token: accessToken } })
    t.false(shown.text.includes(refreshToken))
    t.is((await rowsOf(subject)).length, 1)
  })

  test('neither the token nor the refresh token is in the row', async (t) => {
    const { provider, somebody, rowsOf } = await world()
    const { subject, connect } = await somebody()
    const { code, accessToken, refreshToken } = provider.code()
    t.is((await connect({ provider: 'kakao', code, state: 's' })).status, 201)
    const rows = JSON.stringify(await rowsOf(subject))
    t.true(rows.includes('kakao'))
    const secrets = { accessToken, refreshToken, code }
    t.deepEqual(secretsIn(rows, namedSecrets(secrets)), [])
  })

  test('what the code was asked for with is passed on; the redirect URI is the gateway’s own callback unless told', async (t) => {
    const { provider, somebody } = await world()
    const { connect } = await somebody()
    for (const [redirectUri, expected] of [
      [undefined, callback],
      [callback, callback],
      [app, app],
      ['https://app.example.com/', 'https://app.example.com/'],
    ] as const) {
      const { code } = provider.code()
      const verifier = randomBytes(32).toString('base64url')
      const { status, text } = await connect({
        provider: 'kakao',
        code,
        state: 'its-state',
        code_verifier: verifier,
        ...(redirectUri !== undefined && { redirect_uri: redirectUri }),
      })
      t.is(status, 201, text)
      const [form, ...more] = provider.formsOf(code)
      t.deepEqual(more, [])
      t.is(form!.get('code_verifier'), verifier)
      t.is(form!.get('redirect_uri'), expected)
    }
  })

  test('the same account of the same user is renewed; of another user it is another connection', async (t) => {
    const { provider, somebody, rowsOf } = await world()
    const [one, other] = [await somebody(), await somebody()]
    const account = String(randomInt(2 ** 40))
    const connect = async ({ connect }: typeof one) =>
      (await connect({ provider: 'kakao', code: provider.code({ account }).code, state: 's' })).json
    const first = await connect(one)
    const second = await connect(one)
    const others = await connect(other)
    t.is(second.id, first.id)
    t.not(second.access_token, first.access_token)
    t.not(others.id, first.id)
    t.is((await rowsOf(one.subject)).length, 1)
    t.is((await rowsOf(other.subject)).length, 1)
  })

  const tricks: Readonly<Record<string, string>> = {
    'a host behind two slashes': '//evil.example/login/kakao',
    'another host': 'https://evil.example/login/kakao',
    'the right host as a user': 'https://app.example.com@evil.example/login/kakao',
    'a user before the right host': 'https://user:pass@app.example.com/login/kakao',
    'the right host as a prefix': 'https://app.example.com.evil.example/login/kakao',
    'another port': 'https://app.example.com:8443/login/kakao',
    'the default port written out': 'https://app.example.com:443/login/kakao',
    'another scheme': 'http://app.example.com/login/kakao',
    'a scheme that runs': 'javascript:alert(1)//https://app.example.com/login/kakao',
    'an encoded path': 'https://app.example.com/login%2Fkakao',
    'an encoded letter': 'https://app.example.com/login/kaka%6f',
    'a path that goes up': 'https://app.example.com/login/kakao/../../evil',
    'a path that goes up and down again': 'https://app.example.com/x/../login/kakao',
    'a longer path': 'https://app.example.com/login/kakao/more',
    'a shorter path': 'https://app.example.com/login',
    'a slash at the end': `${app}/`,
    'a query': `${app}?next=https://evil.example`,
    'a fragment': `${app}#evil`,
    'another case': 'https://APP.example.com/login/kakao',
    'a backslash': 'https://app.example.com\\@evil.example/login/kakao',
    'a blank in front': ` ${app}`,
    'a line end': `${app}\r\nLocation: https://evil.example`,
    'the callback of another provider': `${publicUrl}/e/oauth/naver/callback`,
    'the callback without the prefix': `${publicUrl}/oauth/kakao/callback`,
    'the callback at the host that was asked': 'http://127.0.0.1/e/oauth/kakao/callback',
    'nothing at all': ' ',
  }
  test('a redirect URI that is not to the letter one of those allowed is 400, and the provider hears nothing', async (t) => {
    const { provider, somebody, rowsOf } = await world()
    const { subject, connect } = await somebody()
    for (const [what, redirectUri] of Object.entries(tricks)) {
      const { code } = provider.code()
      const { status, json } = await connect({
        provider: 'kakao',
        code,
        state: 's',
        redirect_uri: redirectUri,
      })
      t.is(status, 400, what)
      t.is(json.code, 'invalid_request', what)
      t.is(json.error, 'invalid_request', what)
      t.regex(json.detail, /^redirect_uri: expected one of OAUTH_REDIRECT_URIS/, what)
      t.is(provider.formsOf(code).length, 0, what)
    }
    t.deepEqual(await rowsOf(subject), [])
  })

  test('a forged Host does not change where the code is said to have gone', async (t) => {
    const { provider, somebody, send } = await world()
    const { headers } = await somebody()
    const { code } = provider.code()
    const forged = {
      ...headers,
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      forwarded: 'host=evil.example',
    }
    const { status } = await send('POST', '/e/oauth', {
      headers: forged,
      body: { provider: 'kakao', code, state: 's' },
    })
    t.is(status, 201)
    t.is(provider.formsOf(code)[0]!.get('redirect_uri'), callback)
  })

  test('a provider that is unknown or off is 400, and those there are are named', async (t) => {
    const { somebody } = await world()
    const { connect } = await somebody()
    for (const provider of ['myspace', 'naver', 'constructor', 'proto']) {
      const { status, json } = await connect({ provider, code: 'c' })
      t.is(status, 400)
      t.is(json.detail, 'provider: expected one of kakao')
    }
  })

  test('what is missing, malformed or unknown is named, its value never', async (t) => {
    const { somebody, provider } = await world()
    const { connect } = await somebody()
    const good = { provider: 'kakao', code: 'a-code', state: 's' }
    const cases: readonly (readonly [string, unknown, RegExp])[] = [
      ['no provider', { code: 'a-code' }, /^provider: expected the name of a provider/],
      ['no code', { provider: 'kakao' }, /^code: expected 1 to 4096 visible ASCII/],
      ['an empty code', { ...good, code: '' }, /^code: expected/],
      ['a code with a line end', { ...good, code: 'hidden-value\n' }, /^code: expected/],
      ['a long code', { ...good, code: 'x'.repeat(4097) }, /^code: expected/],
      ['a list of codes', { ...good, code: ['hidden-value', 'b'] }, /^code: expected/],
      ['a provider that is no name', { ...good, provider: '../hidden-value' }, /^provider: expected/],
      ['a short verifier', { ...good, code_verifier: 'hidden-value' }, /^code_verifier: expected 43 to 128/],
      ['a verifier with other letters', { ...good, code_verifier: `${'a'.repeat(43)}=` }, /^code_verifier: /],
      ['a redirect URI that is a number', { ...good, redirect_uri: 5 }, /^redirect_uri: expected/],
      ['a state that is an object', { ...good, state: {} }, /^state: expected/],
      [
        'a member that nobody knows',
        { ...good, refresh_token: 'hidden-value' },
        /^refresh_token: not known here/,
      ],
      ['a list', [good], /expected a JSON object/],
    ]
    for (const [what, body, detail] of cases) {
      const { status, json, text } = await connect(body)
      t.is(status, 400, what)
      t.is(json.code, 'invalid_request', what)
      t.regex(json.detail, detail, what)
      t.false(text.includes('hidden-value'), what)
    }
    t.is(provider.formsOf('a-code').length, 0)
  })

  test('another verb is 405 and says which there are; OPTIONS too', async (t) => {
    const { send } = await world()
    const refused = await send('PUT', '/e/oauth')
    t.is(refused.status, 405)
    t.is(refused.headers.get('cache-control'), 'no-store')
    const options = await send('OPTIONS', '/e/oauth')
    t.is(options.status, 204)
    for (const { headers } of [refused, options]) {
      t.deepEqual((headers.get('allow') ?? '').split(', ').sort(), ['GET', 'HEAD', 'OPTIONS', 'POST'])
    }
  })

  const big = JSON.stringify({ access_token: 'x'.repeat(10_000_000), token_type: 'bearer' })
  const leaked = `leaked-${randomUUID()}`
  const tokens = { access_token: leaked, refresh_token: leaked, token_type: 'bearer', expires_in: 3600 }
  const misbehaviours: readonly {
    readonly what: string
    readonly token?: ScriptedAnswer
    readonly profile?: ScriptedAnswer
    readonly status: number
    readonly codes: readonly string[]
  }[] = [
    {
      what: 'no to the code',
      token: answer({ error: 'invalid_grant', error_description: leaked }, 400),
      status: 400,
      codes: ['invalid_grant'],
    },
    {
      what: 'an error with status 200',
      token: answer({ error: 'server_error', error_description: leaked, ...tokens }),
      status: 502,
      codes: ['provider_refused'],
    },
    {
      what: 'an error that is a secret',
      token: answer({ error: leaked, error_description: leaked }, 400),
      status: 502,
      codes: ['provider_refused'],
    },
    {
      what: 'HTML',
      token: reply(`<html>${leaked}</html>`, { 'content-type': 'text/html' }),
      status: 502,
      codes: ['provider_bad_response'],
    },
    {
      what: 'HTML that says it is JSON',
      token: reply(`<html>${leaked}</html>`),
      status: 502,
      codes: ['provider_bad_response'],
    },
    {
      what: 'JSON that stops in the middle',
      token: reply(JSON.stringify(tokens).slice(0, -5)),
      status: 502,
      codes: ['provider_bad_response'],
    },
    {
      what: 'fewer bytes than it promised',
      token(_request, response) {
        const body = JSON.stringify(tokens)
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length + 10 })
        response.write(body, () => response.socket?.destroy())
      },
      status: 502,
      codes: ['provider_bad_response', 'provider_unreachable'],
    },
    { what: '10 MB', token: reply(big), status: 502, codes: ['provider_bad_response'] },
    {
      what: 'a redirect',
      token: reply('', { location: '/elsewhere' }, 302),
      status: 502,
      codes: ['provider_bad_response'],
    },
    {
      what: 'a redirect that keeps the body',
      token: reply('', { location: '/elsewhere' }, 307),
      status: 502,
      codes: ['provider_bad_response'],
    },
    {
      what: 'tokens of another content type',
      token: reply(JSON.stringify(tokens), { 'content-type': 'text/plain' }),
      status: 502,
      codes: ['provider_bad_response'],
    },
    { what: 'a list', token: answer([tokens]), status: 502, codes: ['provider_bad_response'] },
    { what: 'null', token: answer(null), status: 502, codes: ['provider_bad_response'] },
    {
      what: 'no access token',
      token: answer({ refresh_token: leaked, token_type: 'bearer' }),
      status: 502,
      codes: ['provider_bad_response'],
    },
    {
      what: 'an access token that is no text',
      token: answer({ ...tokens, access_token: { leaked } }),
      status: 502,
      codes: ['provider_bad_response'],
    },
    { what: 'nothing', token: reply(''), status: 502, codes: ['provider_bad_response'] },
    {
      what: 'an error of its own',
      token: answer({ error: 'server_error', error_description: leaked }, 500),
      status: 502,
      codes: ['provider_refused', 'provider_bad_response', 'provider_unreachable'],
    },
    {
      what: 'a closed connection',
      token: (request) => void request.socket.destroy(),
      status: 502,
      codes: ['provider_unreachable'],
    },
    { what: 'silence', token: () => {}, status: 504, codes: ['provider_timeout'] },
    {
      what: 'a reply that never ends',
      token(_request, response) {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.write('{"access_token":')
      },
      status: 504,
      codes: ['provider_timeout'],
    },
    {
      what: 'tokens, but no profile',
      profile: answer({ msg: leaked, code: -401 }, 401),
      status: 502,
      codes: ['provider_refused', 'provider_bad_response'],
    },
    {
      what: 'tokens, but a profile of nobody',
      profile: answer({ kakao_account: { email: leaked } }),
      status: 502,
      codes: ['provider_bad_response'],
    },
    {
      what: 'tokens, but HTML for a profile',
      profile: reply(`<html>${leaked}</html>`, { 'content-type': 'text/html' }),
      status: 502,
      codes: ['provider_bad_response'],
    },
  ]
  for (const { what, status, codes, ...answers } of misbehaviours) {
    test(`where the provider answers with ${what}, nothing is written and nothing secret told or logged`, async (t) => {
      const { provider, somebody, rowsOf, lines, access } = await world()
      const { subject, token, connect } = await somebody()
      const { code, accessToken, refreshToken } = provider.code(answers)
      const verifier = randomBytes(32).toString('base64url')
      const state = `state-${randomUUID()}`
      const nonce = `nonce-${randomUUID()}`
      const told = await connect({ provider: 'kakao', code, state, nonce, code_verifier: verifier })
      t.is(told.status, status, told.text)
      t.true(codes.includes(told.json.code), told.text)
      t.is(told.headers.get('content-type'), 'application/problem+json')
      t.deepEqual(await rowsOf(subject), [])
      t.is(provider.formsOf(code).length, 1, 'a code is shown once')
      t.deepEqual(provider.strayed, [], 'no redirect is followed')
      const secrets = namedSecrets({
        ...{ code, accessToken, refreshToken, verifier, state, nonce, token, leaked },
        providerSecret: provider.secret,
      })
      t.deepEqual(secretsIn(told.text, secrets), [])
      t.deepEqual(secretsIn(JSON.stringify([lines, access]), secrets), [])
      t.deepEqual(
        lines.filter(({ message }) => message.startsWith('unexpected error')),
        [],
      )
    })
  }
})

const namedSecrets = (secrets: Readonly<Record<string, string>>) =>
  Object.entries(secrets).map(([name, text]) => ({ name, text }))
