import { randomBytes, randomUUID } from 'node:crypto'
import { dirname } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { CompactEncrypt, importJWK } from 'jose'
import { openEmbedded } from '../../src/persistence/embedded.ts'
import { eachDatabase } from '../support/database.ts'
import {
  createForger,
  curveOrder,
  derOf,
  ecdsa,
  encode,
  type Forger,
  type Members,
  numbersOf,
  type SigningKeyRow,
} from '../support/forger.ts'
import { startGateway } from '../support/gateway.ts'
import { execute } from '../support/postgres.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf, keepAliveAgent, type Reply, type RequestOptions, request } from '../support/request.ts'
import { httpUpstream, rawUpstream } from '../support/upstream.ts'

const issuer = 'https://gateway.example.com'
const client = { authorization: `Basic ${Buffer.from('test:test-secret').toString('base64')}` }

interface Forgery {
  readonly name: string
  readonly make: (forger: Forger, world: World) => string | Promise<string>
  /** A client that introspects it learns that it is a token of the gateway's, if not for the door. */
  readonly isActive?: true
}

const forgery = (name: string, make: Forgery['make']): Forgery => ({ name, make })
const ages = () => Math.floor(Date.now() / 1000)

/** What somebody makes who knows all that is public. */
const signatures: readonly Forgery[] = [
  ...['none', 'None', 'NONE', 'nOnE', ' none', 'none ', ''].flatMap((alg) => [
    forgery(`alg ${JSON.stringify(alg)} and an empty signature`, (f) => unsigned(f, { alg })),
    forgery(`alg ${JSON.stringify(alg)} and a signature`, (f) => f.attackers({ alg })),
  ]),
  forgery('no alg', (f) => f.attackers({ alg: undefined })),
  forgery('no alg and an empty signature', (f) => unsigned(f, { alg: undefined })),
  forgery('ES256 and an empty signature', (f) => unsigned(f, {})),
  ...[null, 5, ['ES256'], { name: 'ES256' }, true].map((alg) =>
    forgery(`alg ${JSON.stringify(alg)}`, (f) => f.genuine({ alg })),
  ),
  ...['es256', 'ES384', 'ES256K', 'RS256', 'PS256', 'EdDSA', 'dir', '__proto__', 'toString'].map((alg) =>
    forgery(`alg ${alg} over a right ES256 signature`, (f) => f.genuine({ alg })),
  ),
  ...([256, 384, 512] as const).flatMap((bits) => [
    forgery(`HS${bits} with the public key's PEM as secret`, (f) => f.hmac(bits, f.pem)),
    forgery(`HS${bits} with the PEM without its last line end`, (f) => f.hmac(bits, f.pem.trim())),
    forgery(`HS${bits} with the public key's DER`, (f) => f.hmac(bits, f.der)),
    forgery(`HS${bits} with the public JWK`, (f) => f.hmac(bits, JSON.stringify(f.publicJwk))),
    forgery(`HS${bits} with the JWKS as it is served`, async (f, { ask }) =>
      f.hmac(bits, (await ask('/.well-known/jwks.json')).body),
    ),
    forgery(`HS${bits} with the public point`, (f) =>
      f.hmac(bits, Buffer.from(`${f.publicJwk.x}${f.publicJwk.y}`, 'base64url')),
    ),
    forgery(`HS${bits} with an empty secret`, (f) => f.hmac(bits, '')),
  ]),
  forgery('another key under the gateway’s kid', (f) => f.attackers()),
  forgery('the signature of another token', async (f) => {
    const [head, body] = (await f.genuine({}, { sub: 'admin' })).split('.')
    const [, , signature] = (await f.genuine()).split('.')
    return `${head}.${body}.${signature}`
  }),
  ...[
    ['r = s = 0', ecdsa(0n, 0n)],
    ['r = 0', ecdsa(0n, 1n)],
    ['s = 0', ecdsa(1n, 0n)],
    ['r = s = n', ecdsa(curveOrder, curveOrder)],
    ['r = n', ecdsa(curveOrder, 1n)],
    ['s = n', ecdsa(1n, curveOrder)],
    ['r = s = 1', ecdsa(1n, 1n)],
    ['all ones', Buffer.alloc(64, 0xff)],
    ['one byte', Buffer.of(0)],
    ['an empty DER sequence', Buffer.of(0x30, 0)],
  ].map(([name, bytes]) =>
    forgery(`ES256 with ${name}`, (f) => `${encode(f.header)}.${encode(f.claims())}.${encode(bytes!)}`),
  ),
  resigned('r + n', (right) => {
    const [r, s] = numbersOf(right)
    return Buffer.from([r + curveOrder, s].map((n) => n.toString(16).padStart(66, '0')).join(''), 'hex')
  }),
  resigned('in DER', derOf),
  resigned('without its last byte', (right) => right.subarray(0, 63)),
  resigned('without its first byte', (right) => right.subarray(1)),
  resigned('cut in half', (right) => right.subarray(0, 32)),
  resigned('with a zero after it', (right) => Buffer.concat([right, Buffer.of(0)])),
  resigned('with a zero before it', (right) => Buffer.concat([Buffer.of(0), right])),
  resigned('twice', (right) => Buffer.concat([right, right])),
  resigned('with r and s exchanged', (right) => Buffer.concat([right.subarray(32), right.subarray(0, 32)])),
  resigned('with one bit changed', (right) =>
    Buffer.from(right.map((byte, i) => (i === 40 ? byte ^ 1 : byte))),
  ),
]

const keys: readonly Forgery[] = [
  forgery('no kid', (f) => f.genuine({ kid: undefined })),
  ...[
    ['another key’s thumbprint', randomBytes(32).toString('base64url')],
    ['a path', '../../../../dev/null'],
    ['a URL', 'http://127.0.0.1/key'],
    ['SQL', `' union select 'key' -- `],
    ['the name of a member of every object', '__proto__'],
    ['constructor', 'constructor'],
    ['nothing', ''],
    ['null', null],
    ['a number', 0],
    ['an object', { toString: 'kid' }],
    ['very long', 'k'.repeat(4000)],
    ['a line break', 'a\r\nX-User-Id: admin'],
  ].map(([name, kid]) => forgery(`kid: ${name}`, (f) => f.genuine({ kid }))),
  forgery('kid: a list with the right one', (f) => f.genuine({ kid: [f.header.kid] })),
  forgery('the attacker’s own key as jwk', (f) => f.attackers({ jwk: f.attackersJwk })),
  forgery('the attacker’s own key as jwk, without kid', (f) =>
    f.attackers({ jwk: f.attackersJwk, kid: undefined }),
  ),
  ...['jku', 'x5u'].flatMap((member) => [
    forgery(`${member} with keys elsewhere`, (f, { trapUrl }) =>
      f.attackers({ [member]: `${trapUrl}/${member}` }),
    ),
    forgery(`${member} with keys elsewhere, without kid`, (f, { trapUrl }) =>
      f.attackers({ [member]: `${trapUrl}/${member}`, kid: undefined }),
    ),
    forgery(`${member} with keys elsewhere, under a kid that is not known`, (f, { trapUrl }) =>
      f.attackers({ [member]: `${trapUrl}/${member}`, kid: 'mine' }),
    ),
  ]),
  forgery('the trap as iss', (f, { trapUrl }) => f.attackers({}, { iss: trapUrl })),
  forgery('x5c with the attacker’s certificate', (f) =>
    f.attackers({ x5c: [randomBytes(300).toString('base64')], x5t: randomBytes(20).toString('base64url') }),
  ),
  ...[
    ['a name that nobody knows', { crit: ['urn:nobody:knows'], 'urn:nobody:knows': true }],
    ['a name of the standard', { crit: ['exp'], exp: 1 }],
    ['jku', { crit: ['jku'], jku: 'http://127.0.0.1/' }],
    ['nothing', { crit: [] }],
    ['a text', { crit: 'exp' }],
    ['a member that is missing', { crit: ['absent'] }],
    ['a number', { crit: [1], 1: true }],
    ['b64, which is false', { crit: ['b64'], b64: false }],
  ].map(([name, header]) => forgery(`crit: ${name}`, (f) => f.genuine(header as Members))),
]

/** What is wrong with these is what they say: the gateway's own key has signed them. */
const claims: readonly Forgery[] = [
  ...[undefined, `${issuer}/`, issuer.toUpperCase(), 'https://evil.example.com', '', null, [issuer], 1].map(
    (iss) => forgery(`iss ${shown(iss)}`, (f) => f.genuine({}, { iss })),
  ),
  ...['https://other.example.com', `${issuer}/`, ['https://other.example.com'], [], '', null, 1, {}].map(
    (aud): Forgery => ({
      ...forgery(`aud ${shown(aud)}`, (f) => f.genuine({}, { aud })),
      isActive: true,
    }),
  ),
  ...[undefined, 'JWT', 'jwt', 'logout+jwt', 'dpop+jwt', 'id_token', 'at+jwt ', '', null, 1, ['at+jwt']].map(
    (typ) => forgery(`typ ${shown(typ)}`, (f) => f.genuine({ typ })),
  ),
  ...['aud', 'sub', 'client_id', 'iat', 'jti', 'sid', 'exp'].map((name) =>
    forgery(`no ${name}`, (f) => f.genuine({}, { [name]: undefined })),
  ),
  forgery('exp a second ago', (f) => f.genuine({}, { exp: ages() - 1 })),
  forgery('exp now', (f) => f.genuine({}, { exp: ages() })),
  forgery('exp in the past, with a fraction', (f) => f.genuine({}, { exp: ages() - 0.5 })),
  ...[0, -1, -1e300, null, '', [], {}, true].map((exp) =>
    forgery(`exp ${shown(exp)}`, (f) => f.genuine({}, { exp })),
  ),
  forgery('exp as a text', (f) => f.genuine({}, { exp: String(ages() + 600) })),
  forgery('exp in a list', (f) => f.genuine({}, { exp: [ages() + 600] })),
  forgery('nbf in the future', (f) => f.genuine({}, { nbf: ages() + 60 })),
  forgery('nbf as a text', (f) => f.genuine({}, { nbf: String(ages() - 60) })),
  {
    ...forgery('iat more than two minutes in the future', (f) => f.genuine({}, { iat: ages() + 150 })),
    isActive: true,
  },
  forgery('iat as a text', (f) => f.genuine({}, { iat: String(ages()) })),
  ...['', null, 1, ['user-1'], {}, 'a b\r\nX-User-Id: admin', '문지기', '\u0000', ' user-1'].map((sub) =>
    forgery(`sub ${shown(sub)}`, (f) => f.genuine({}, { sub })),
  ),
  forgery('scope with a line break', (f) => f.genuine({}, { scope: 'a\r\nX-User-Id: admin' })),
  forgery('an ID token', (f) =>
    f.genuine(
      { typ: 'JWT' },
      {
        aud: 'test',
        client_id: undefined,
        sid: undefined,
        nonce: 'n',
        auth_time: ages(),
        email: 'a@b.example',
      },
    ),
  ),
  ...[
    ['a text', '"user-1"'],
    ['a list', '[{"sub":"user-1"}]'],
    ['a number', '1'],
    ['null', 'null'],
    ['no JSON', 'sub=user-1'],
    ['half of an object', '{"sub":"user-1"'],
    ['two objects', '{}{}'],
    ['nested too deeply to be read', `${'['.repeat(2000)}${']'.repeat(2000)}`],
  ].map(([name, text]) => forgery(`payload: ${name}`, (f) => f.genuine({}, text))),
  forgery('payload: not UTF-8', (f) => {
    const [before, after] = JSON.stringify({ ...f.claims(), sub: '?' }).split('"?"')
    return f.genuine({}, Buffer.concat([Buffer.from(`${before}"\xff\xfe"${after}`, 'latin1')]))
  }),
  forgery('payload: UTF-16', (f) => f.genuine({}, Buffer.from(JSON.stringify(f.claims()), 'utf16le'))),
  // RFC 7519 §4: of two members of a name the last counts, if they are not refused.
  ...[
    ['iss', '"https://evil.example.com"'],
    ['exp', '1'],
    ['sub', '""'],
  ].map(([name, value]) =>
    forgery(`${name} twice, right and then wrong`, (f) =>
      f.genuine({}, JSON.stringify(f.claims()).replace(/\}$/, `,"${name}":${value}}`)),
    ),
  ),
  forgery('iss twice, wrong and then right', (f) =>
    f.attackers({}, JSON.stringify(f.claims()).replace('{', '{"iss":"https://evil.example.com",')),
  ),
  forgery('alg twice in the header', (f) =>
    f.attackers(`{"alg":"none",${JSON.stringify(f.header).slice(1)}`),
  ),
  ...['null', '[]', '"x"', 'alg=ES256', '{}', '{"alg":"ES256"'].map((text) =>
    forgery(`header: ${text}`, (f) => f.genuine(text)),
  ),
]

const shapes: readonly Forgery[] = [
  {
    ...forgery('a refresh token', async (_f, { create }) => (await create()).refresh_token),
    isActive: true,
  },
  forgery('an opaque text', () => 'opaque'),
  forgery('a JWE for the gateway’s public key', async (f) => {
    const key = await importJWK(f.publicJwk, 'ECDH-ES')
    const header = { alg: 'ECDH-ES', enc: 'A256GCM', kid: f.header.kid as string }
    return new CompactEncrypt(Buffer.from(await f.genuine())).setProtectedHeader(header).encrypt(key)
  }),
  forgery('five parts', async (f) => `${await f.genuine()}.a.b`),
  forgery('four parts', async (f) => `${await f.genuine()}.a`),
  forgery('two parts', async (f) => (await f.genuine()).split('.').slice(0, 2).join('.')),
  ...['..', '...', '.', 'a..b', '.a.b', 'a.b.'].map((text) => forgery(`empty parts: ${text}`, () => text)),
  forgery('a space inside', async (f) => (await f.genuine()).replace('.', ' .')),
  forgery('a tab inside', async (f) => (await f.genuine()).replace('.', '\t.')),
  forgery('quotes around it', async (f) => `"${await f.genuine()}"`),
  forgery('percent-encoded', async (f) => (await f.genuine()).replaceAll('.', '%2E')),
  forgery('base64 with padding', async (f) => `${await f.genuine()}==`),
  ...['+', '/', '!', '*', ',', '\\', '<'].map((sign) =>
    forgery(`${sign} in the signature`, async (f) => (await f.genuine()).replace(/..$/, `${sign}A`)),
  ),
  forgery('two tokens with a comma', async (f) => `${await f.genuine()}, ${await f.genuine()}`),
  forgery(
    'two tokens with a comma and a scheme',
    async (f) => `${await f.genuine()}, Bearer ${await f.genuine()}`,
  ),
  forgery('the scheme twice', async (f) => `Bearer ${await f.genuine()}`),
  forgery('a right one of 12 KB', (f) => f.genuine({}, { filling: 'x'.repeat(9000) })),
]

/** What is wrong is how it comes. The names stand for a token that passes. */
const deliveries: readonly (readonly [name: string, lines: string, status: RegExp])[] = [
  [
    'two Authorization headers with one token',
    'Authorization: Bearer GOOD\r\nAuthorization: Bearer GOOD',
    /401/,
  ],
  ['a right token before a wrong one', 'Authorization: Bearer GOOD\r\nauthorization: Bearer bad', /401/],
  ['a wrong token before a right one', 'Authorization: Bearer bad\r\nAUTHORIZATION: Bearer GOOD', /401/],
  ['a token beside Basic credentials', 'Authorization: Basic dTpw\r\nAuthorization: Bearer GOOD', /401/],
  ['an empty header before the token', 'Authorization:\r\nAuthorization: Bearer GOOD', /401/],
  ['Bearer without a token', 'Authorization: Bearer', /401/],
  ['Bearer and spaces', 'Authorization: Bearer    ', /401/],
  ['an empty Authorization header', 'Authorization:', /401/],
  ['a token without a scheme', 'Authorization: GOOD', /401/],
  ['a tab after the scheme', 'Authorization: Bearer\tGOOD', /401/],
  ['a colon after the scheme', 'Authorization: Bearer: GOOD', /401/],
  ['a no-break space after the scheme', 'Authorization: Bearer\xa0GOOD', /401/],
  ['bytes that are not UTF-8', 'Authorization: Bearer \xff\xfe\xc3\x28', /401/],
  ['a right token and a byte that is not UTF-8', 'Authorization: Bearer GOOD\xff', /401/],
  ['a wrong token under a lower-case scheme', 'Authorization: bearer bad.bad.bad', /401/],
  ['another scheme', 'Authorization: DPoP GOOD', /401/],
  [
    'another header',
    'Proxy-Authorization: Bearer GOOD\r\nX-Access-Token: GOOD\r\nCookie: access_token=GOOD',
    /401/,
  ],
  ['a folded line', 'Authorization: Bearer\r\n GOOD', /40[01]/],
  ['a space before the colon', 'Authorization : Bearer GOOD', /40[01]/],
  ['a NUL', 'Authorization: Bearer GOOD\0', /40[01]/],
  ['a line feed alone', 'Authorization: Bearer bad\nAuthorization: Bearer GOOD', /40[01]/],
  ['1 MB', `Authorization: Bearer ${'a'.repeat(1_048_576)}`, /401|431/],
]

eachDatabase((tested) => {
  const cleanUp: (() => unknown)[] = []
  /** The one gateway of all tests here; what is started for it ends after the last of them. */
  const whole = { teardown: (end: () => unknown) => void cleanUp.push(end) } as unknown as ExecutionContext
  test.after.always(async () => {
    for (const end of cleanUp.reverse()) await end()
  })
  let starting: Promise<World> | undefined
  const world = () => {
    starting ??= startWorld(whole, tested.fresh)
    return starting
  }

  tested.test('a token made in the forger’s way with nothing wrong passes', async (t) => {
    const { forger, ask, seen } = await world()
    const path = `/api/house/${randomUUID()}`
    t.is((await ask(path, await forger.genuine())).status, 200)
    t.is(seen.get(path), 1)
  })

  for (const { name, make, isActive } of [...signatures, ...keys, ...claims, ...shapes]) {
    tested.test(`a forged token is refused: ${name}`, async (t) => {
      const { forger, ask, introspect, refused } = await world()
      const token = await make(forger, await world())
      const path = `/api/house/${randomUUID()}`
      const reply = await ask(path, token)
      await refused(t, path, reply, token)
      t.is(codeOf(reply), 'invalid_token')
      if (isActive) return
      const { status, body } = await introspect(token)
      t.is(status, 200)
      t.is(body, '{"active":false}')
    })
  }

  for (const [name, lines, status] of deliveries) {
    tested.test(`a token that comes in a wrong way is refused: ${name}`, async (t) => {
      const { forger, ask, port, refused } = await world()
      const bystander = keepAliveAgent(t)
      t.is((await ask('/api/house/open', undefined, { agent: bystander })).status, 200)
      const good = await forger.genuine()
      const path = `/api/house/${randomUUID()}`
      const { send, ended } = await rawClient(t, port)
      send(
        `GET ${path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n${lines.replaceAll('GOOD', good)}\r\n\r\n`,
      )
      const { text } = await ended()
      t.regex(text.slice(9, 12), status)
      if (text.startsWith('HTTP/1.1 401')) await refused(t, path, parse(text), good)
      t.is((await ask('/api/house/open', undefined, { agent: bystander })).status, 200)
      t.is((await ask(path, good)).status, 200, 'there was nothing wrong with the token')
    })
  }

  tested.test('a token in the query or in a form is none (RFC 6750 §2.2, §2.3)', async (t) => {
    const { forger, ask, refused } = await world()
    const good = await forger.genuine()
    const path = `/api/house/${randomUUID()}`
    await refused(t, path, await ask(`${path}?access_token=${good}`), good)
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    await refused(
      t,
      path,
      await ask(path, undefined, { method: 'POST', headers, body: `access_token=${good}` }),
      good,
    )
  })

  tested.test('a token of the gateway’s that says it never expires harms nobody', async (t) => {
    const { forger, ask, introspect, revoke } = await world()
    for (const exp of ['1e400', '9e99']) {
      const token = await forger.genuine(
        {},
        JSON.stringify(forger.claims()).replace(/"exp":\d+/, `"exp":${exp}`),
      )
      t.true((await ask('/api/house', token)).status < 500)
      t.is((await introspect(token)).status, 200)
      t.is((await revoke(token)).status, 200)
      t.is((await ask('/api/house', token)).status, 401)
    }
  })

  tested.test('the name of the scheme may be written in any case (RFC 9110 §11.1)', async (t) => {
    const { forger, ask } = await world()
    for (const scheme of ['bearer', 'BEARER', 'bEaReR']) {
      const authorization = `${scheme} ${await forger.genuine()}`
      t.is((await ask('/api/house', undefined, { headers: { authorization } })).status, 200)
    }
  })

  tested.test('1 MB as a token in a body is refused, and others are served meanwhile', async (t) => {
    const { ask, introspect } = await world()
    const [huge, other] = await Promise.all([introspect('a'.repeat(1_048_576)), ask('/api/house/open')])
    t.is(huge.status, 413)
    t.is(codeOf(huge), 'payload_too_large')
    t.is(other.status, 200)
  })

  tested.test('a token’s twin with the other right signature (n − s) is revoked with it', async (t) => {
    const { forger, ask, revoke } = await world()
    const token = await forger.genuine()
    const [head, body, signature = ''] = token.split('.')
    const [r, s] = numbersOf(Buffer.from(signature, 'base64url'))
    const twin = `${head}.${body}.${encode(ecdsa(r, curveOrder - s))}`
    t.is((await ask('/api/house', twin)).status, 200, 'ECDSA has two signatures')
    t.is((await revoke(token)).status, 200)
    t.is((await ask('/api/house', twin)).status, 401)
  })

  tested.test(
    'of a claim that comes twice, the one that was judged is the one that is passed on',
    async (t) => {
      const { forger, ask, told } = await world()
      const path = `/api/house/${randomUUID()}`
      const twice = JSON.stringify(forger.claims()).replace('{', '{"sub":"admin",')
      const reply = await ask(path, await forger.genuine({}, twice))
      if (reply.status === 200) t.is(told.get(path), 'user-1')
      else t.is(reply.status, 401)
    },
  )
})

interface World {
  readonly port: number
  readonly forger: Forger
  /** Where a connection is never made to. */
  readonly trapUrl: string
  /** How often the house was asked for a path, and on whose behalf. */
  readonly seen: ReadonlyMap<string, number>
  readonly told: ReadonlyMap<string, unknown>
  ask(path: string, token?: string, options?: RequestOptions): Promise<Reply>
  introspect(token: string): Promise<Reply>
  revoke(token: string): Promise<Reply>
  create(): Promise<{ readonly access_token: string; readonly refresh_token: string }>
  /** Asserts that this was the answer to a forgery, and that nobody else heard of it. */
  refused(t: ExecutionContext, path: string, reply: Reply, token: string): Promise<void>
}

type Fresh = Parameters<Parameters<typeof eachDatabase>[0]>[0]['fresh']

async function startWorld(t: ExecutionContext, fresh: Fresh): Promise<World> {
  const seen = new Map<string, number>()
  const told = new Map<string, unknown>()
  const house = await httpUpstream(t, (incoming, response) => {
    const path = incoming.url ?? ''
    seen.set(path, (seen.get(path) ?? 0) + 1)
    told.set(path, incoming.headers['x-user-id'])
    response.end('house')
  })
  const trap = await rawUpstream(t, (socket) => socket.destroy())
  const encryptionKey = { id: 'test', secret: randomBytes(32).toString('base64') }
  const config = await fresh(t)
  const embedded = config.kind === 'embedded' ? openEmbedded(config.dataDir) : undefined
  if (embedded !== undefined) t.teardown(() => embedded.close())
  const { url, port, lines } = await startGateway(t, {
    file: {
      services: {
        house: { urls: [house.origin], openapi: false, path: ['/api/house', '/api/house/open; auth=none'] },
      },
    },
    env: {
      ...(config.kind === 'embedded'
        ? { DATA_DIR: dirname(config.dataDir), DATABASE_URL: '' }
        : { DATABASE_URL: config.url }),
      PUBLIC_URL: issuer,
      ENCRYPTION_KEYS: `${encryptionKey.id}:${encryptionKey.secret}`,
      GATEWAY_CLIENTS: 'test:test-secret',
      TOKEN_RATE_LIMIT: '1000000/1m',
    },
    ...(embedded && { embedded }),
  })
  const sql = 'select * from munjigi.signing_keys where activated_at is not null and retired_at is null'
  const rows =
    config.kind === 'embedded'
      ? (await (await embedded!.open()).query(sql)).rows
      : await execute(config.url, sql)
  const publicJwk = rows[0] as { public_jwk: unknown }
  const forger = await createForger(
    { ...publicJwk, public_jwk: parsed(publicJwk.public_jwk) } as unknown as SigningKeyRow,
    encryptionKey,
    issuer,
  )

  const post = (path: string, body: unknown) =>
    request(url + path, {
      method: 'POST',
      headers: { ...client, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  return {
    port,
    forger,
    trapUrl: trap.origin,
    seen,
    told,
    ask: (path, token, options = {}) =>
      request(url + path, {
        ...options,
        headers: { ...options.headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      }),
    introspect: (token) => post('/tokens/verify', { token }),
    revoke: (token) => post('/tokens/revoke', { token }),
    create: async () => JSON.parse((await post('/tokens/create', { subject: 'user-1' })).body),
    async refused(t, path, reply, token) {
      t.is(reply.status, 401)
      t.regex(String(reply.headers['www-authenticate']), /^Bearer(?: error="invalid_token"|$)/)
      const answer = JSON.stringify([reply.rawHeaders, reply.body])
      for (const part of token.split(/[. ]/).filter(({ length }) => length > 15))
        t.false(answer.includes(part))
      t.is(seen.get(path), undefined, 'the house was not asked')
      t.is(trap.connections.total, 0, 'nobody was asked for a key')
      t.deepEqual(
        lines.filter(({ level }) => level === 'error'),
        [],
      )
    },
  }
}

/** The drivers differ in what they make of jsonb. */
const parsed = (json: unknown) => (typeof json === 'string' ? JSON.parse(json) : json)

const unsigned = (forger: Forger, header: Members) => forger.attackers(header).replace(/[^.]+$/, '')

/** A right signature in another shape. */
function resigned(name: string, reshape: (right: Buffer) => Buffer): Forgery {
  return forgery(`a right signature ${name}`, async (forger) => {
    const input = `${encode(forger.header)}.${encode(forger.claims())}`
    return `${input}.${encode(reshape(await forger.signature(input)))}`
  })
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value)
}

/** A whole reply as it stood on the wire. */
function parse(text: string): Reply {
  const [head = '', body = ''] = text.split('\r\n\r\n')
  const [first = '', ...lines] = head.split('\r\n')
  const [, status, reason = ''] = /^HTTP\/1\.1 (\d+) (.*)$/.exec(first) ?? []
  const pairs = lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)])
  return {
    status: Number(status),
    reason,
    headers: Object.fromEntries(pairs.map(([name, value]) => [name?.toLowerCase(), value])),
    rawHeaders: pairs.flat() as string[],
    body,
  }
}
