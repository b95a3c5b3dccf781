import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { findConsul } from '../../scripts/consul.ts'
import { createConsulClient } from '../../src/discovery/consul/client.ts'
import { consulSettings } from '../../src/discovery/consul/settings.ts'
import { consulTest, runConsul, startConsul, type TestConsul } from '../support/consul.ts'
import { startProcess } from '../support/processes.ts'
import { until } from '../support/until.ts'

const run = promisify(execFile)
const master = '8f246b77-f3e1-ff88-5b48-8ec93abf3e05'
const acl = { enabled: true, default_policy: 'deny', tokens: { master, agent: master } }

consulTest('by the steps of the README a gateway follows and registers, with ACLs on', async (t) => {
  const consul = await startConsul(t, { config: { acl: { enabled: true, default_policy: 'deny' } } })
  const said = await runSteps(consul)
  const token = (name: string) => new RegExp(`^${name}=(\\S+)$`, 'm').exec(said)?.[1] ?? ''
  const auth = startProcess(t, 'services/auth/main.ts', {
    AUTH_PORT: '0',
    AUTH_HOST: '127.0.0.1',
    CONSUL_HTTP_ADDR: consul.address,
    CONSUL_HTTP_TOKEN: token('CONSUL_AUTH_TOKEN'),
  })
  await auth.printed(/auth is registered in Consul/)
  const gateway = startProcess(t, 'src/main.ts', {
    PORT: '0',
    HOST: '127.0.0.1',
    GATEWAY_CONFIG: 'compose/gateway/gateway.yaml',
    DISCOVERY: 'consul',
    CONSUL_HTTP_ADDR: consul.address,
    CONSUL_HTTP_TOKEN: token('CONSUL_GATEWAY_TOKEN'),
  })
  const [, url] = await gateway.printed(/listens on (http:\S+)/)
  await gateway.printed(/gateway is registered in Consul/)
  const answers = async () => (await fetch(`${url}/api/users`)).status
  await until(async () => (await answers()) === 200, 'the gateway leads to the auth service')
  // As DNS asks, without a token: the front finds the gateways, and nobody else is shown.
  const anonymous = async (path: string) => (await fetch(`http://${consul.address}/v1${path}`)).json()
  t.is(((await anonymous('/health/service/gateway')) as unknown[]).length, 1)
  t.deepEqual(Object.keys((await anonymous('/catalog/services')) as object), ['gateway'])
  for (const { kill, exited } of [gateway, auth]) {
    kill('SIGTERM')
    await exited
  }
  t.regex(gateway.output(), /gateway-\S+ is deregistered/)
  t.regex(auth.output(), /auth-\S+ is deregistered/)
})

consulTest('the policies allow what is needed, and each of their rules is', async (t) => {
  const consul = await startConsul(t, { config: { acl } })
  const register = createConsulClient(optionsOf(consul, master))
  t.teardown(() => register.destroy())
  await register.register(service('house'), call())

  const gateway = rulesOf(await readFile('consul/policies/gateway.hcl', 'utf8'))
  t.deepEqual(await allowed(t, consul, gateway, 'gateway'), [
    'services',
    'health',
    'register',
    'own',
    'deregister',
  ])
  const without = await Promise.all(
    gateway.map(async (rule) => {
      const rest = gateway.filter((other) => other !== rule)
      return [rule.split('{')[0]!.trim(), await allowed(t, consul, rest, 'gateway')]
    }),
  )
  t.deepEqual(Object.fromEntries(without), {
    'service_prefix ""': ['register', 'own', 'deregister'],
    'node_prefix ""': ['services', 'register', 'own', 'deregister'],
    'service "gateway"': ['services', 'health'],
  })

  const auth = rulesOf(await readFile('consul/policies/auth.hcl', 'utf8'))
  t.deepEqual(await allowed(t, consul, auth, 'auth'), ['register', 'own', 'deregister'])
  t.is(auth.length, 1)

  const front = rulesOf(await readFile('consul/policies/front.hcl', 'utf8'))
  await register.register(service('gateway'), call())
  const found = async (rules: readonly string[]) => {
    const client = createConsulClient(optionsOf(consul, await tokenFor(consul, rules)))
    t.teardown(() => client.destroy())
    return ((await client.health('gateway', { ...call(), index: '0', waitMs: 0 })).body as unknown[]).length
  }
  t.is(await found(front), 1)
  for (const rule of front) t.is(await found(front.filter((other) => other !== rule)), 0, rule)
})

consulTest('with the tokens of these policies nothing else can be changed or read', async (t) => {
  const consul = await startConsul(t, { config: { acl } })
  const ask = async (token: string, method: string, path: string, body?: unknown) => {
    const headers = { 'X-Consul-Token': token }
    const reply = await fetch(`http://${consul.address}/v1${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return reply.status
  }
  const refused: readonly (readonly [string, string, unknown?])[] = [
    ['PUT', '/agent/service/register', { Name: 'house', Port: 1 }],
    ['PUT', '/agent/service/register', { Name: 'gateway-2', Port: 1 }],
    ['PUT', '/catalog/register', { Node: 'other', Address: '127.0.0.1' }],
    ['PUT', '/kv/a', 'b'],
    ['GET', '/kv/a'],
    ['PUT', '/session/create', {}],
    ['PUT', '/acl/policy', { Name: 'x', Rules: '' }],
    ['GET', '/acl/tokens'],
    ['POST', '/query', { Name: 'x', Service: { Service: 'gateway' } }],
    ['PUT', '/event/fire/x'],
    ['PUT', '/agent/leave'],
    ['PUT', '/agent/maintenance?enable=true'],
    ['GET', '/agent/self'],
    ['GET', '/operator/raft/configuration'],
    ['PUT', '/config', { Kind: 'service-defaults', Name: 'house', Protocol: 'http' }],
  ]
  for (const name of ['gateway', 'auth', 'front']) {
    const rules = rulesOf(await readFile(`consul/policies/${name}.hcl`, 'utf8'))
    const token = await tokenFor(consul, rules)
    for (const [method, path, body] of refused) {
      // What the first token may is what there is at all: a path that does not exist would be refused to everybody.
      if (path !== '/agent/leave' && method === 'GET') t.not(await ask(master, method, path), 403, path)
      const status = await ask(token, method, path, body)
      t.true([403, 405].includes(status), `${name}: ${method} ${path} is answered ${status}`)
    }
  }
})

consulTest('Consul takes the files as they are', async (t) => {
  const folder = await temporary(t)
  for (const files of [
    ['server.hcl', 'acl-off.hcl'],
    ['server.hcl', 'acl-on.hcl'],
    ['agent.hcl', 'acl-on.hcl', 'services/auth.hcl'],
  ]) {
    const configuration = await mkdtemp(join(folder, 'config-'))
    for (const file of files) await copyFile(`consul/${file}`, join(configuration, file.replace('/', '-')))
    const data = `data_dir = ${JSON.stringify(folder)}`
    await run('/bin/sh', ['-c', 'printf %s "$1" > "$2"', 'sh', data, join(configuration, 'data.hcl')])
    await t.notThrowsAsync(runConsul(['validate', configuration], folder), files.join())
  }
})

test('the file of the auth service has the tags that it registers with', async (t) => {
  const tags = (text: string) => [...text.matchAll(/^ +["'](gateway\.[^"']+)["'],$/gm)].map(([, tag]) => tag)
  const own = tags(await readFile('services/auth/registration.ts', 'utf8'))
  t.true(own.length > 3)
  t.deepEqual(tags(await readFile('consul/services/auth.hcl', 'utf8')), own)
})

/** Each rule of a policy's file. */
function rulesOf(text: string): string[] {
  return text.match(/^\w+ "\w*" \{[^}]*\}/gm) ?? []
}

async function tokenFor(consul: TestConsul, rules: readonly string[]): Promise<string> {
  const put = async (path: string, body: unknown) => {
    const headers = { 'X-Consul-Token': master }
    const reply = await fetch(`http://${consul.address}/v1/acl/${path}`, {
      method: 'PUT',
      headers,
      body: JSON.stringify(body),
    })
    if (!reply.ok) throw new Error(`${path}: ${await reply.text()}`)
    return (await reply.json()) as { readonly ID: string; readonly SecretID: string }
  }
  const name = `test-${Math.random().toString(36).slice(2)}`
  const { ID } = await put('policy', { Name: name, Rules: rules.join('\n') })
  return (await put('token', { Policies: [{ ID }] })).SecretID
}

/** Which of the gateway's own calls come to something with these rules, made by its own client. */
async function allowed(
  t: ExecutionContext,
  consul: TestConsul,
  rules: readonly string[],
  name: string,
): Promise<string[]> {
  const client = createConsulClient(optionsOf(consul, await tokenFor(consul, rules)))
  t.teardown(() => client.destroy())
  const now = { ...call(), index: '0', waitMs: 0 }
  const itself = service(name)
  const calls: Record<string, () => Promise<boolean>> = {
    services: async () => Object.hasOwn((await client.services(now)).body as object, 'house'),
    health: async () => ((await client.health('house', now)).body as unknown[]).length === 1,
    register: () => client.register(itself, call()).then(() => true),
    own: () => client.own(itself.id, { ...call(), hash: '', waitMs: 0 }).then(() => true),
    deregister: () => client.deregister(itself.id, call()).then(() => true),
  }
  const done: string[] = []
  for (const [what, work] of Object.entries(calls)) {
    const worked = await work().catch((error: unknown) => {
      const status = (error as { status?: number }).status
      // Who may not register finds nothing of his own: 404, and 500 where he would take it away.
      if ([403, 404, 500].includes(status ?? 0)) return false
      throw error
    })
    if (worked) done.push(what)
  }
  return done
}

const call = () => ({ signal: new AbortController().signal, timeoutMs: 60_000 })

function service(name: string) {
  const check = {
    http: 'http://127.0.0.1:1/',
    intervalMs: 60_000,
    timeoutMs: 1000,
    deregisterAfterMs: 60_000,
  }
  return {
    name,
    id: `${name}-${Math.random().toString(36).slice(2)}`,
    address: '127.0.0.1',
    port: 1,
    tags: ['gateway.enable=true'],
    meta: {},
    check: { ...check, status: 'passing' as const },
  }
}

function optionsOf({ address }: TestConsul, token: string) {
  const environment = { CONSUL_HTTP_ADDR: address, CONSUL_HTTP_TOKEN: token }
  return consulSettings.parse({ environment, urls: new Map() })
}

/** What the README's steps print. */
async function runSteps(consul: TestConsul): Promise<string> {
  const found = await findConsul()
  if (!('binary' in found)) throw new Error(found.unavailable)
  const [, block = ''] = /```sh\n([\s\S]*?)```/.exec(await readFile('consul/README.md', 'utf8')) ?? []
  const env = { PATH: `${dirname(found.binary)}:${process.env.PATH}`, CONSUL_HTTP_ADDR: consul.address }
  const { stdout } = await run('/bin/sh', ['-eu', '-c', block], { cwd: 'consul', env })
  return stdout.replace(/^ +/gm, '')
}

async function temporary(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'munjigi-consul-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}
