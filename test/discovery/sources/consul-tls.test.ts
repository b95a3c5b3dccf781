import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { consulSettings } from '../../../src/discovery/consul/settings.ts'
import { consulSource } from '../../../src/discovery/sources/consul.ts'
import { consulTest, runConsul, startConsul } from '../../support/consul.ts'
import { freePorts } from '../../support/ports.ts'
import { watchSource } from '../../support/watch-source.ts'

consulTest(
  'an agent that asks for certificates is reached with them, and believed only with its own',
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'munjigi-consul-tls-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    await runConsul(['tls', 'ca', 'create'], folder)
    await runConsul(['tls', 'cert', 'create', '-server'], folder)
    await runConsul(['tls', 'cert', 'create', '-client'], folder)
    const file = (name: string) => join(folder, name)
    const [https = 0] = await freePorts(1)
    const consul = await startConsul(t, {
      config: {
        ports: { https },
        ca_file: file('consul-agent-ca.pem'),
        cert_file: file('dc1-server-consul-0.pem'),
        key_file: file('dc1-server-consul-0-key.pem'),
        verify_incoming_https: true,
      },
    })
    await consul.client.agent.service.register({ name: 'auth', port: 8001, tags: ['gateway.enable=true'] })

    const full = {
      CONSUL_HTTP_ADDR: `127.0.0.1:${https}`,
      CONSUL_HTTP_SSL: 'true',
      CONSUL_CACERT: file('consul-agent-ca.pem'),
      CONSUL_CLIENT_CERT: file('dc1-client-consul-0.pem'),
      CONSUL_CLIENT_KEY: file('dc1-client-consul-0-key.pem'),
      CONSUL_TLS_SERVER_NAME: 'server.dc1.consul',
    }
    const watch = (environment: Record<string, string>) =>
      watchSource(t, consulSource, consulSettings.parse({ environment, urls: new Map() }))
    const [auth] = await watch(full).until(() => true)
    t.is(auth?.name, 'auth')

    const { CONSUL_CACERT: _ca, ...strange } = full
    t.regex((await watch(strange).ended)?.message ?? '', /Consul: GET .*certificate/i)
    const { CONSUL_TLS_SERVER_NAME: _name, ...unnamed } = { ...full, CONSUL_HTTP_ADDR: `localhost:${https}` }
    await watch(unnamed).until(() => true)
    const wrongName = { ...full, CONSUL_TLS_SERVER_NAME: 'other.example' }
    t.regex((await watch(wrongName).ended)?.message ?? '', /Consul: GET .*altnames/i)
    await watch({ ...wrongName, CONSUL_HTTP_SSL_VERIFY: 'false' }).until(() => true)
    const { CONSUL_CLIENT_CERT: _cert, CONSUL_CLIENT_KEY: _key, ...anonymous } = full
    t.regex((await watch(anonymous).ended)?.message ?? '', /Consul: GET /)
  },
)
