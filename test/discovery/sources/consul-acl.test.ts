import type { ExecutionContext } from 'ava'
import type { ConsulOptions } from '../../../src/discovery/consul/settings.ts'
import { consulSettings } from '../../../src/discovery/consul/settings.ts'
import type { Service } from '../../../src/discovery/source.ts'
import { consulSource } from '../../../src/discovery/sources/consul.ts'
import { consulTest, startConsul } from '../../support/consul.ts'
import { until } from '../../support/until.ts'
import { watchSource } from '../../support/watch-source.ts'

const ofServices = 'service_prefix "" { policy = "read" }'
const ofNodes = 'node_prefix "" { policy = "read" }'

interface Guarded {
  /** What a gateway with a token of these rules is told to use. */
  optionsFor(rules: string): Promise<ConsulOptions>
  /** Gives the token made last other rules. */
  change(rules: string): Promise<void>
  readonly anonymous: ConsulOptions
}

/** An agent that refuses what no policy allows; it knows `auth` and `mail`. */
async function startGuarded(t: ExecutionContext): Promise<Guarded> {
  const { address } = await startConsul(t, { config: { acl: { enabled: true, default_policy: 'deny' } } })
  let management = ''
  let policy = { ID: '', Name: '' }
  async function put<T>(path: string, body: object): Promise<T> {
    const reply = await fetch(`http://${address}/v1${path}`, {
      method: 'PUT',
      headers: { 'x-consul-token': management },
      body: JSON.stringify(body),
    })
    if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`)
    return (await reply.json()) as T
  }
  const options = (token: object) =>
    consulSettings.parse({ environment: { CONSUL_HTTP_ADDR: address, ...token }, urls: new Map() })

  // ACLs are ready a moment after there is a leader.
  await until(async () => {
    management = await put<{ SecretID: string }>('/acl/bootstrap', {}).then(
      ({ SecretID }) => SecretID,
      () => '',
    )
    return management !== ''
  }, 'the first token')
  for (const name of ['auth', 'mail']) {
    await put('/catalog/register', {
      Node: 'far',
      Address: '127.0.0.1',
      Service: { Service: name, Port: 8001, Tags: ['gateway.enable=true'] },
    })
  }
  return {
    async optionsFor(rules) {
      policy = await put('/acl/policy', { Name: 'gateway', Rules: rules })
      const { SecretID } = await put<{ SecretID: string }>('/acl/token', { Policies: [{ ID: policy.ID }] })
      return options({ CONSUL_HTTP_TOKEN: SecretID })
    },
    async change(rules) {
      await put(`/acl/policy/${policy.ID}`, { Name: policy.Name, Rules: rules })
    },
    anonymous: options({}),
  }
}

const both = (services: readonly Service[]) =>
  services.length === 2 && services.every(({ instances }) => instances.length === 1)

consulTest('a token that may read services and nodes is all it takes', async (t) => {
  const { optionsFor } = await startGuarded(t)
  const watched = watchSource(t, consulSource, await optionsFor(`${ofServices}\n${ofNodes}`))
  await watched.until(both)
  t.deepEqual(watched.warnings, [])
})

consulTest('a token that may read nothing, or none, is a fault and not an empty catalog', async (t) => {
  const { optionsFor, anonymous } = await startGuarded(t)
  for (const options of [anonymous, await optionsFor(ofNodes)]) {
    const watched = watchSource(t, consulSource, options)
    t.regex((await watched.ended)?.message ?? '', /an empty catalog: expected a token with service:read/)
    t.deepEqual(watched.snapshots, [])
  }
})

consulTest(
  'a token that may not read nodes is a fault, and no reason to think that nothing runs',
  async (t) => {
    const { optionsFor } = await startGuarded(t)
    const watched = watchSource(t, consulSource, await optionsFor(ofServices))
    t.regex((await watched.ended)?.message ?? '', /no instance, though .*expected a token with node:read/)
    t.deepEqual(watched.snapshots, [])
  },
)

consulTest('a policy that is taken away while the gateway runs wipes nothing', async (t) => {
  const { optionsFor, change } = await startGuarded(t)
  const watched = watchSource(t, consulSource, await optionsFor(`${ofServices}\n${ofNodes}`))
  await watched.until(both)
  await change('')
  t.regex((await watched.ended)?.message ?? '', /an empty catalog/)
  t.true(watched.snapshots.every(both))
})

consulTest('services that leave in great number are not taken for what a token may not see', async (t) => {
  const consul = await startConsul(t)
  const names = Array.from({ length: 30 }, (_, number) => `house${number}`)
  await Promise.all(
    names.map((name) =>
      consul.client.agent.service.register({ name, port: 8001, tags: ['gateway.enable=true'] }),
    ),
  )
  const options = consulSettings.parse({ environment: { CONSUL_HTTP_ADDR: consul.address }, urls: new Map() })
  const watched = watchSource(t, consulSource, options)
  await watched.until((services) => services.length === names.length)
  // One by one, so that the catalog's limit is felt.
  for (const name of names) await consul.client.agent.service.deregister(name)
  await watched.until((services) => services.length === 0)
  t.deepEqual(watched.warnings, [])
})
