import { execFile } from 'node:child_process'
import { access, readFile } from 'node:fs/promises'
import { BlockList } from 'node:net'
import { promisify } from 'node:util'
import test from 'ava'
import { parse } from 'yaml'
import { findCaddy } from '../../scripts/caddy.ts'
import { reachableHost } from '../../services/auth/registration.ts'
import { readAuthSettings } from '../../services/auth/settings.ts'
import { discoverySources } from '../../src/discovery/sources/index.ts'
import { load, loadError, spot } from '../support/config.ts'
import { type ComposeService, composeTest, readCompose } from '../support/docker-compose.ts'
import { promtoolTest } from '../support/promtool.ts'

const run = promisify(execFile)
const files = ['docker-compose.yml', 'docker-compose.production.yml']
const profiles = ['dev', 'observability', 'web']
const production = {
  SITE_ADDRESS: 'www.jinmini.com',
  PUBLIC_URL: 'https://www.jinmini.com',
  ENCRYPTION_KEYS: `2026:${Buffer.alloc(32, 7).toString('base64')}`,
  GATEWAY_CLIENTS: 'auth:0123456789abcdef0123456789abcdef',
  AUTH_CLIENT_ID: 'auth',
  AUTH_CLIENT_SECRET: '0123456789abcdef0123456789abcdef',
  POSTGRES_PASSWORD: 'fedcba9876543210fedcba9876543210',
}

composeTest(
  'without any variable there is development: five services, and no other in a profile by mistake',
  async (t) => {
    const { services } = await readCompose({})
    t.deepEqual(Object.keys(services).toSorted(), ['auth', 'consul', 'front', 'gateway', 'postgres'])
    const all = await readCompose({ profiles })
    for (const [name, { profiles: own }] of Object.entries(all.services)) {
      t.is(own === undefined, name in services, name)
    }
  },
)

composeTest('every container is checked, limited, unprivileged, and starts again', async (t) => {
  for (const [name, service] of await everyService()) {
    t.is(service.healthcheck?.test[0], 'CMD', `${name} has a health check`)
    t.is(service.read_only, true, name)
    t.deepEqual(service.cap_drop, ['ALL'], name)
    t.deepEqual(service.security_opt, ['no-new-privileges:true'], name)
    t.is(service.restart, 'unless-stopped', name)
    t.truthy(service.deploy?.resources?.limits?.memory, `${name} has a limit of memory`)
    t.truthy(service.logging?.options?.['max-size'], `the log of ${name} ends`)
    t.is(service.container_name, undefined, `there may be several of ${name}`)
    // Caddy's file has this capability, and is not started at all without.
    t.deepEqual(service.cap_add, name === 'front' ? ['NET_BIND_SERVICE'] : undefined, name)
  }
})

composeTest('nobody publishes a port but the front, and in development for this machine alone', async (t) => {
  for (const [name, { ports }] of await everyService()) t.is(ports !== undefined, name === 'front', name)
  const { services } = await readCompose({ profiles })
  t.deepEqual(
    services.front?.ports?.map(({ host_ip, published }) => `${host_ip}:${published}`),
    ['127.0.0.1:8080'],
  )
  const inProduction = await readCompose({ files, env: production })
  t.deepEqual(
    inProduction.services.front?.ports?.map(({ host_ip = '', published }) => `${host_ip}:${published}`),
    ['127.0.0.1:8080', ':80', ':443', ':443'],
  )
})

composeTest('who needs another waits for its health', async (t) => {
  const { services } = await readCompose({ profiles })
  const waits = Object.entries(services).map(([name, { depends_on: others = {} }]) => {
    for (const { condition } of Object.values(others)) t.is(condition, 'service_healthy', name)
    return [name, Object.keys(others).toSorted()] as const
  })
  t.like(Object.fromEntries(waits), {
    front: ['auth', 'auth-dev', 'gateway', 'gateway-dev'],
    gateway: ['consul', 'postgres'],
    auth: ['consul', 'postgres'],
    web: ['front'],
  })
})

composeTest('every image of others has a version, and every mount a source', async (t) => {
  for (const [name, { image, build, volumes = [] }] of await everyService()) {
    const [, tag = ''] = /:([^/]+)$/.exec(image) ?? []
    if (build === undefined) t.regex(tag, /^v?\d+\.\d+/, `${name}: ${image}`)
    else t.is(tag, 'local', name)
    for (const { type, source } of volumes) {
      if (type === 'bind') await t.notThrowsAsync(access(source), `${name}: ${source}`)
    }
  }
})

composeTest(
  "no two services are built by one name: builds at once of the same one get in each other's way",
  async (t) => {
    const { services } = await readCompose({ profiles })
    const built = Object.values(services).flatMap(({ build, image }) => (build === undefined ? [] : image))
    t.true(built.length >= 5)
    t.is(new Set(built).size, built.length, built.join())
  },
)

composeTest(
  'addresses that are given are of the network, and of the half that no container comes by',
  async (t) => {
    const { services, networks } = await readCompose({ profiles })
    const [{ subnet = '', ip_range: range = '' } = {}] = networks.default.ipam.config
    t.is(services.gateway?.environment?.TRUSTED_PROXIES, subnet)
    const within = (cidr: string, address: string) => {
      const [network = '', bits] = cidr.split('/')
      const list = new BlockList()
      list.addSubnet(network, Number(bits))
      return list.check(address)
    }
    t.true(within(subnet, range.split('/')[0]!))
    const fixed = Object.values(services).flatMap(({ networks: own }) => own?.default?.ipv4_address ?? [])
    t.is(fixed.length, 1)
    for (const address of fixed) t.true(within(subnet, address) && !within(range, address), address)
  },
)

composeTest('who shares the loopback of the front cannot tell it what to do', async (t) => {
  const { services } = await readCompose({ profiles })
  const sharing = Object.values(services).filter(({ network_mode: mode }) => mode === 'service:front')
  t.is(sharing.length, 1)
  for (const { depends_on: others } of sharing) t.true(others?.front?.restart)
  t.regex(await readFile('compose/front/Caddyfile', 'utf8'), /^\tadmin off$/m)
})

composeTest('the grace of a gateway is longer than its drain', async (t) => {
  const { services } = await readCompose({ profiles })
  const seconds = (text = '') => Number(/^(\d+)s$/.exec(text)?.[1])
  const { DRAIN_DELAY, DRAIN_TIMEOUT } = services.gateway?.environment ?? {}
  const drain = seconds(DRAIN_DELAY ?? '') + seconds(DRAIN_TIMEOUT ?? '')
  t.true(drain > 0)
  t.true(seconds(services.gateway?.stop_grace_period) > drain)
  t.true(
    seconds(services.front?.stop_grace_period) > 30,
    'and that of the front, longer than its grace_period',
  )
})

composeTest('production asks for each thing that it lacks, by name', async (t) => {
  await t.notThrowsAsync(readCompose({ files, env: production }))
  for (const name of Object.keys(production)) {
    const { [name as keyof typeof production]: _, ...env } = production
    const message = new RegExp(`${name} is missing a value: production needs`)
    await t.throwsAsync(readCompose({ files, env }), { message }, name)
  }
})

composeTest('the gateway takes its environment as the files give it', async (t) => {
  const given = async (input: Parameters<typeof readCompose>[0]) => {
    const { services } = await readCompose(input)
    const { GATEWAY_CONFIG: _, ...environment } = services.gateway?.environment ?? {}
    return environmentOf(environment)
  }
  const development = load(t, { env: await given({}), sources: discoverySources, networkInterfaces })
  t.is(development.environment, 'development')
  t.is(development.publicUrl, 'http://localhost:8080')
  t.is(development.registration?.advertiseHost, '10.89.77.130')
  const config = load(t, {
    env: await given({ files, env: production }),
    sources: discoverySources,
    networkInterfaces,
  })
  t.is(config.environment, 'production')
  t.is(config.publicUrl, 'https://www.jinmini.com')
  t.is(config.tracing, undefined)
  t.deepEqual(config.protection.corsOrigins, [])
  t.is(config.admin.token, undefined)

  // What is good for development alone, in production without the file for it.
  const faulty = { ...production, NODE_ENV: 'production', POSTGRES_PASSWORD: '', ENCRYPTION_KEYS: '' }
  const { faults } = loadError(t, {
    env: await given({ env: faulty }),
    sources: discoverySources,
    networkInterfaces,
  })
  t.deepEqual(faults.map(spot).toSorted(), [
    'ADMIN_TOKEN',
    'DATABASE_URL',
    'ENCRYPTION_KEYS',
    'LOGIN_RETURN_URLS',
  ])
})

composeTest('the auth service takes its environment as the files give it', async (t) => {
  for (const [input, publicUrl] of [
    [{}, 'http://localhost:8080'],
    [{ files, env: production }, 'https://www.jinmini.com'],
  ] as const) {
    const { services } = await readCompose(input)
    const settings = readAuthSettings(environmentOf(services.auth?.environment))
    t.is(settings.port, 8001)
    t.is(settings.gatewayUrl, 'http://gateway:8080')
    t.is(settings.identity.issuer, publicUrl)
  }
  const names = { USER_ID_HEADER: 'X-Id', USER_SCOPE_HEADER: 'X-Scope', USER_ISSUER_HEADER: 'X-Issuer' }
  const { services } = await readCompose({ env: names })
  const { identity } = readAuthSettings(environmentOf(services.auth?.environment))
  t.deepEqual(identity.headers, { id: 'X-Id', scope: 'X-Scope', issuer: 'X-Issuer' })
})

test('a container of the auth service registers under its own address', (t) => {
  const auto = { NODE_ENV: 'development', AUTH_ADVERTISE_HOST: 'auto' }
  t.is(reachableHost(auto, '0.0.0.0', networkInterfaces), '10.89.77.130')
  t.is(reachableHost(auto, '127.0.0.1', networkInterfaces), '10.89.77.130')
  t.is(reachableHost({ NODE_ENV: 'development' }, '0.0.0.0', networkInterfaces), '127.0.0.1')
  t.is(reachableHost({ NODE_ENV: 'production' }, '0.0.0.0', networkInterfaces), '10.89.77.130')
  t.is(reachableHost({ AUTH_ADVERTISE_HOST: 'auth.local' }, '0.0.0.0', networkInterfaces), 'auth.local')
  t.throws(() => reachableHost(auto, '0.0.0.0', () => ({})), { message: /AUTH_ADVERTISE_HOST/ })
})

test('every variable that the files take is written down', async (t) => {
  const documented = new Set<string>()
  for (const file of ['.env.compose.example', '.env.example']) {
    for (const [, name] of (await readFile(file, 'utf8')).matchAll(/^# ([A-Z_]+)=/gm)) documented.add(name!)
  }
  for (const file of files) {
    const text = (await readFile(file, 'utf8')).replace(/^\s*#.*$/gm, '')
    const names = [...text.matchAll(/(?<!\$)\$\{([A-Z_]+)/g)].map(([, name]) => name!)
    t.true(names.length > 5, file)
    for (const name of names)
      t.true(documented.has(name), `${name} of ${file} is in .env.compose.example or .env.example`)
  }
})

composeTest('the front takes the Caddyfile, with a public name and without', async (t) => {
  const found = await findCaddy()
  if (!('binary' in found)) {
    t.log(found.unavailable)
    t.is(process.env.REQUIRE_COMPOSE, undefined)
    return
  }
  const { services } = await readCompose({ files, env: production })
  for (const env of [{}, environmentOf(services.front?.environment ?? {})]) {
    const args = ['--adapter', 'caddyfile', '--config', 'compose/front/Caddyfile']
    const options = { env: { PATH: process.env.PATH, HOME: '/tmp', ...env } }
    await t.notThrowsAsync(run(found.binary, ['validate', ...args], options))
    const { stdout } = await run(found.binary, ['adapt', ...args], options)
    const listens = ['127.0.0.1:2019', ...('SITE_ADDRESS' in env ? [':443'] : []), ':8080']
    const servers = Object.values((JSON.parse(stdout) as CaddyConfig).apps.http.servers)
    t.deepEqual(servers.flatMap(({ listen }) => listen).toSorted(), listens)
  }
  const formatted = await run(found.binary, ['fmt', 'compose/front/Caddyfile'])
  t.is(formatted.stdout, await readFile('compose/front/Caddyfile', 'utf8'))
})

interface CaddyConfig {
  readonly apps: {
    readonly http: { readonly servers: Record<string, { readonly listen: readonly string[] }> }
  }
}

promtoolTest(
  'Prometheus understands its configuration, and asks as the alerts expect it',
  async (t, promtool) => {
    const file = 'observability/prometheus/prometheus.yml'
    t.regex(await promtool('check', 'config', '--syntax-only', file), /SUCCESS/)
    const { scrape_configs: jobs } = parse(await readFile(file, 'utf8')) as {
      scrape_configs: { job_name: string }[]
    }
    const alerts = await readFile('observability/prometheus/alerts.yml', 'utf8')
    for (const [, job] of alerts.matchAll(/job="([^"]+)"/g))
      t.true(
        jobs.some(({ job_name }) => job_name === job),
        job,
      )
  },
)

composeTest('Prometheus has the token of the gateways where its configuration looks for it', async (t) => {
  const { services } = await readCompose({ profiles, env: { ADMIN_TOKEN: 'a token' } })
  const { scrape_configs: jobs } = parse(
    await readFile('observability/prometheus/prometheus.yml', 'utf8'),
  ) as {
    scrape_configs: { authorization?: { credentials_file: string } }[]
  }
  const file = jobs.flatMap(({ authorization }) => authorization?.credentials_file ?? []).join()
  t.regex(file, /^\/tmp\//)
  t.true(services.prometheus?.command?.join().includes(`"$$ADMIN_TOKEN" > ${file} &&`))
  for (const name of ['prometheus', 'gateway']) t.is(services[name]?.environment?.ADMIN_TOKEN, 'a token')
})

composeTest('a gateway of the profile dev answers to the name by which the others ask for one', async (t) => {
  const { services } = await readCompose({ profiles })
  t.deepEqual(services['gateway-dev']?.networks?.default?.aliases, ['gateway'])
  t.is(services['auth-dev']?.environment?.GATEWAY_URL, 'http://gateway:8080')
})

test('each part of the collector that is used is there, and each that is there is used', async (t) => {
  const { service, ...parts } = parse(
    await readFile('observability/collector/config.yaml', 'utf8'),
  ) as CollectorConfig
  const pipelines = Object.values(service.pipelines)
  t.true(pipelines.length > 0)
  for (const kind of ['receivers', 'processors', 'exporters'] as const) {
    const used = new Set(pipelines.flatMap((pipeline) => pipeline[kind]))
    t.deepEqual([...used].toSorted(), Object.keys(parts[kind]).toSorted(), kind)
  }
})

composeTest(
  'traces go where the collector listens, and the collector sends them where Jaeger does',
  async (t) => {
    const { services } = await readCompose({ profiles })
    t.is(services.gateway?.environment?.OTEL_EXPORTER_OTLP_ENDPOINT, 'http://collector:4318')
    const { receivers, exporters } = parse(await readFile('observability/collector/config.yaml', 'utf8'))
    t.is(receivers.otlp.protocols.http.endpoint, '0.0.0.0:4318')
    t.is(exporters['otlp/jaeger'].endpoint, 'jaeger:4317')
    t.true('jaeger' in services && 'collector' in services)
  },
)

interface Pipeline {
  readonly receivers: readonly string[]
  readonly processors: readonly string[]
  readonly exporters: readonly string[]
}

interface CollectorConfig extends Record<keyof Pipeline, object> {
  readonly service: { readonly pipelines: Readonly<Record<string, Pipeline>> }
}

async function everyService(): Promise<readonly (readonly [string, ComposeService])[]> {
  const all = await Promise.all([
    readCompose({ profiles }),
    readCompose({ files, profiles, env: production }),
  ])
  return all.flatMap(({ services }) => Object.entries(services))
}

function environmentOf(environment: ComposeService['environment'] = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, value ?? '']))
}

const networkInterfaces = () => ({
  eth0: [
    {
      ...{
        address: '10.89.77.130',
        netmask: '255.255.255.0',
        family: 'IPv4' as const,
        mac: '02:42:0a:59:4d:82',
      },
      ...{ internal: false, cidr: '10.89.77.130/24' },
    },
  ],
})
