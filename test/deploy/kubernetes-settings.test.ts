import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { parse, parseAllDocuments } from 'yaml'
import { authVariables, readAuthSettings } from '../../services/auth/settings.ts'
import { runCommand } from '../../src/commands/run.ts'
import { ConfigError } from '../../src/config/fault.ts'
import { loadConfig } from '../../src/config/load.ts'
import { documentSettings } from '../../src/config/setting-docs.ts'
import { descriptionSchema } from '../../src/discovery/description.ts'
import { readAnnotations } from '../../src/discovery/kubernetes/annotations.ts'
import { parseService } from '../../src/discovery/kubernetes/objects.ts'
import { choosePort } from '../../src/discovery/kubernetes/ports.ts'
import { discoverySources } from '../../src/discovery/sources/index.ts'
import { createKubernetesSource } from '../../src/discovery/sources/kubernetes.ts'
import { providerKinds } from '../../src/oauth/providers/index.ts'
import { configFolder } from '../support/config.ts'
import { kubectlTest } from '../support/kubectl.ts'
import type { Manifest } from '../support/kubernetes-schemas.ts'
import {
  decoded,
  environmentOf,
  every,
  one,
  overlayOf,
  overlays,
  portNumber,
  selects,
  workload,
} from '../support/manifests.ts'

const secret = 'k8TrUw3nMzQ0cXbVYyEo5A'
/** What an operator would put into the Secrets that secrets.example.yaml describes. */
const secrets = {
  'gateway-secrets': {
    DATABASE_URL: 'postgres://munjigi:password@db.example.com:5432/munjigi',
    ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
    GATEWAY_CLIENTS: `auth:${secret}`,
    ADMIN_TOKEN: secret,
  },
  'auth-secrets': {
    DATABASE_URL: 'postgres://munjigi:password@db.example.com:5432/munjigi',
    AUTH_CLIENT_ID: 'auth',
    AUTH_CLIENT_SECRET: secret,
  },
}
const example = parseAllDocuments(readFileSync('k8s/overlays/production/secrets.example.yaml', 'utf8')).map(
  (document) => document.toJS() as Manifest,
)

/** Reads it as a gateway in a pod does that has a service account and the file of the ConfigMap. */
function loadInPod(t: ExecutionContext, objects: readonly Manifest[], env: Record<string, string>) {
  const account = mkdtempSync(join(tmpdir(), 'munjigi-account-'))
  t.teardown(() => rmSync(account, { recursive: true, force: true }))
  writeFileSync(join(account, 'namespace'), 'munjigi')
  writeFileSync(join(account, 'token'), 'token')
  const cwd = configFolder(t, { yaml: one(objects, 'ConfigMap', 'gateway-file').data!['gateway.yaml']! })
  t.is(env.GATEWAY_CONFIG, '/etc/munjigi/gateway.yaml')
  return loadConfig({
    env: {
      ...env,
      GATEWAY_CONFIG: join(cwd, 'gateway.yaml'),
      KUBERNETES_SERVICE_HOST: '10.96.0.1',
      KUBERNETES_SERVICE_PORT: '443',
    },
    cwd,
    sources: { ...discoverySources, kubernetes: createKubernetesSource({}, account) },
  })
}

function faultsOf(load: () => unknown): readonly string[] {
  try {
    load()
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.faults.map(({ place }) => ('variable' in place ? place.variable : place.key))
    }
    throw error
  }
  return []
}

kubectlTest('the gateway and the auth service start with what each overlay says', async (t, render) => {
  const known = new Set(
    documentSettings(discoverySources, providerKinds, { auth: authVariables }).map(({ name }) => name),
  )
  for (const folder of overlays) {
    const objects = await render(folder)
    const given = folder.endsWith('production') ? secrets : {}
    const [gateway, auth] = ['gateway', 'auth'].map((name) => environmentOf(objects, name, given))
    for (const name of Object.keys({ ...gateway, ...auth })) t.true(known.has(name), `${name} is no setting`)

    const config = loadInPod(t, objects, gateway!)
    t.is(config.environment, folder.endsWith('production') ? 'production' : 'development')
    t.is(config.database.kind, 'postgres')
    if (folder.endsWith('production')) {
      const [network, ...others] = config.trustedProxies
      t.regex(network!, /^10\.\d+\.0\.0\/16$/, 'the pods, and not whoever comes by')
      t.deepEqual(others, [])
    } else {
      const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = decoded(
        one(objects, 'Secret', 'postgres-secrets'),
      )
      for (const { DATABASE_URL } of [gateway!, auth!]) {
        const { username, password, pathname } = new URL(DATABASE_URL!)
        t.deepEqual([username, password, pathname], [POSTGRES_USER, POSTGRES_PASSWORD, `/${POSTGRES_DB}`])
      }
    }
    t.deepEqual(config.admin, { port: 9090, host: '0.0.0.0', token: gateway?.ADMIN_TOKEN })
    t.deepEqual(
      config.discovery.sources.map(({ source }) => source.name),
      { 'k8s/overlays/dev': ['kubernetes', 'consul'], 'k8s/overlays/consul': ['consul'] }[folder] ?? [
        'kubernetes',
      ],
    )
    t.is(
      config.registration?.advertiseHost,
      gateway?.CONSUL_HTTP_ADDR === undefined ? undefined : '10.244.0.17',
    )

    const settings = readAuthSettings(auth!)
    t.is(settings.host, '0.0.0.0')
    t.is(settings.port, 8001)
    const clients = config.tokens.clients.map(({ id, secret }) => `${id}:${secret}`)
    t.true(
      clients.includes(`${settings.client.id}:${settings.client.secret}`),
      'the gateway knows its client',
    )
    t.is(settings.identity.issuer, config.tokens.issuer)
  }
})

kubectlTest(
  'production starts neither with the secrets of development nor with placeholders',
  async (t, render) => {
    const objects = await render('k8s/overlays/production')
    const development = await render('k8s/overlays/dev')
    const start = (given: Record<string, string>) =>
      faultsOf(() =>
        loadInPod(t, objects, environmentOf(objects, 'gateway', { ...secrets, 'gateway-secrets': given })),
      )
    t.deepEqual(start(secrets['gateway-secrets']), [])

    const everybodys = decoded(one(development, 'Secret', 'gateway-secrets'))
    for (const name of ['DATABASE_URL', 'ENCRYPTION_KEYS', 'GATEWAY_CLIENTS', 'ADMIN_TOKEN']) {
      t.deepEqual(start({ ...secrets['gateway-secrets'], [name]: everybodys[name]! }), [name])
    }
    // A key of one's own in front of it makes it no secret: what is stored under it can still be read.
    const both = `${secrets['gateway-secrets'].ENCRYPTION_KEYS},${everybodys.ENCRYPTION_KEYS}`
    t.deepEqual(start({ ...secrets['gateway-secrets'], ENCRYPTION_KEYS: both }), ['ENCRYPTION_KEYS'])

    const placeholders = decoded(one(example, 'Secret', 'gateway-secrets'))
    t.deepEqual(Object.keys(placeholders).sort(), Object.keys(secrets['gateway-secrets']).sort())
    for (const [name, placeholder] of Object.entries(placeholders)) {
      t.deepEqual(start({ ...secrets['gateway-secrets'], [name]: placeholder }), [name])
    }
    const auth = { ...secrets, 'auth-secrets': decoded(one(example, 'Secret', 'auth-secrets')) }
    t.throws(() => readAuthSettings(environmentOf(objects, 'auth', auth)), { message: /DATABASE_URL/ })
    t.deepEqual(Object.keys(auth['auth-secrets']).sort(), Object.keys(secrets['auth-secrets']).sort())
  },
)

kubectlTest('the gateway understands every annotation of ours', async (t, render) => {
  for (const folder of ['k8s/overlays/dev', 'k8s/overlays/production']) {
    const services = every(await render(folder), 'Service').flatMap((object) => {
      const stored = {
        ...object,
        metadata: { ...object.metadata, uid: 'uid', creationTimestamp: '2026-01-01T00:00:00Z' },
      }
      return parseService(stored, 'gateway.jinmini.com/') ?? []
    })
    const said = services.map((service) => ({
      service,
      ...readAnnotations(service.annotations, 'gateway.jinmini.com/'),
    }))
    for (const { faults } of said) t.deepEqual(faults, [])
    const [auth, ...others] = said.filter(({ enabled }) => enabled)
    t.deepEqual(others, [])
    t.is(auth?.service.name, 'auth')
    t.like(choosePort(auth!.service, auth!.description!.port), { kind: 'named', name: 'http' })
    // As gateway.yaml in the repository has it.
    const { urls: _, ...inFile } = parse(readFileSync('gateway.yaml', 'utf8')).services.auth
    t.like(auth!.description, { ...descriptionSchema.parse(inFile), enable: true, port: 'http' })
  }
})

kubectlTest('munjigi check has nothing against gateway.yaml of the ConfigMap', async (t, render) => {
  for (const folder of overlays) {
    const yaml = one(await render(folder), 'ConfigMap', 'gateway-file').data!['gateway.yaml']!
    const cwd = configFolder(t, { yaml })
    const lines: string[] = []
    const print = (line: string) => void lines.push(line)
    const context = { env: {}, cwd, print, complain: print }
    t.is(await runCommand(['check', 'gateway.yaml'], context), 0, lines.join('\n'))
  }
})

kubectlTest(
  'what Prometheus scrapes is the admin port, by the token that is there, under the name of the alerts',
  async (t, render) => {
    const { spec } = parse(readFileSync('k8s/components/prometheus/pod-monitor.yaml', 'utf8'))
    const gateway = workload(await render('k8s/overlays/production'), 'gateway')
    t.true(selects(spec.selector, gateway.labels))
    const [{ port, authorization, relabelings }, ...others] = spec.podMetricsEndpoints
    t.deepEqual(others, [])
    t.is(portNumber(gateway, port), 9090)
    const { name, key } = authorization.credentials
    t.true(key in decoded(one(example, 'Secret', name)))
    const components = ['k8s/components/prometheus']
    const dev = await render(await overlayOf(t, { resources: ['k8s/overlays/dev'], components }))
    const monitor = dev.find(({ kind }) => kind === 'PodMonitor') as { spec?: typeof spec }
    const generated = one(dev, 'Secret', name).metadata.name
    t.is(monitor.spec.podMetricsEndpoints[0].authorization.credentials.name, generated)
    t.deepEqual(relabelings, [{ action: 'replace', targetLabel: 'job', replacement: 'munjigi' }])
    t.true(readFileSync('observability/prometheus/alerts.yml', 'utf8').includes('up{job="munjigi"}'))
  },
)

test('the alerts of the Prometheus component are those of observability/', (t) => {
  const { groups } = parse(readFileSync('observability/prometheus/alerts.yml', 'utf8'))
  const { spec } = parse(readFileSync('k8s/components/prometheus/rules.yaml', 'utf8'))
  t.true(groups.length > 1)
  t.deepEqual(spec.groups, groups)
})
