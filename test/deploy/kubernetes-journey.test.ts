import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { configFolder } from '../support/config.ts'
import { sharedPostgres } from '../support/database.ts'
import { kubectlTest, type Render } from '../support/kubectl.ts'
import { startKubernetesApi } from '../support/kubernetes-api.ts'
import { service, slice } from '../support/kubernetes-objects.ts'
import { environmentOf, one } from '../support/manifests.ts'
import { noPostgres } from '../support/postgres.ts'
import { startProcess } from '../support/processes.ts'
import { until } from '../support/until.ts'

const title =
  'production in small: the processes of the Deployments with their settings, and the Service routed as it is'
const freshDatabase = sharedPostgres()
const secret = 'k8TrUw3nMzQ0cXbVYyEo5A'

if (noPostgres === undefined) kubectlTest(title, journey)
else if (process.env.REQUIRE_POSTGRES === '1') test(title, (t) => t.fail(noPostgres))
else test.skip(`${title} (SKIPPED, ${noPostgres})`, (t) => t.pass())

async function journey(t: ExecutionContext, render: Render): Promise<void> {
  const objects = await render('k8s/overlays/production')
  const { url: DATABASE_URL } = await freshDatabase(t)
  const secrets = {
    'gateway-secrets': {
      DATABASE_URL,
      ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
      GATEWAY_CLIENTS: `auth:${secret}`,
      ADMIN_TOKEN: secret,
    },
    'auth-secrets': { DATABASE_URL, AUTH_CLIENT_ID: 'auth', AUTH_CLIENT_SECRET: secret },
  }
  const api = await startKubernetesApi(t)
  const folder = configMapFolder(t, one(objects, 'ConfigMap', 'gateway-file').data!)

  // What differs from a pod: ports that are free here, one address for everybody, and a kubeconfig for the account.
  const gateway = startProcess(t, 'src/main.ts', {
    ...environmentOf(objects, 'gateway', secrets),
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_HOST: '127.0.0.1',
    ADMIN_PORT: '0',
    GATEWAY_CONFIG: join(folder, 'gateway.yaml'),
    KUBECONFIG: await api.kubeconfig(),
    KUBERNETES_NAMESPACE: one(objects, 'Deployment', 'gateway').metadata.namespace ?? '',
  })
  const port = async (pattern: RegExp) => (await gateway.printed(pattern))[1]
  const url = `http://127.0.0.1:${await port(/listens on http:\/\/[\w.]+:(\d+)/)}`
  const adminUrl = `http://127.0.0.1:${await port(/admin[^\n]*http:\/\/[\w.]+:(\d+)/i)}`
  const auth = startProcess(t, 'services/auth/main.ts', {
    ...environmentOf(objects, 'auth', secrets),
    AUTH_HOST: '127.0.0.1',
    AUTH_PORT: '0',
    GATEWAY_URL: url,
  })
  const [, authPort] = await auth.printed(/listening on http:\/\/[\w.]+:(\d+)/)

  const { metadata, spec } = one(objects, 'Service', 'auth')
  const { namespace = '' } = metadata
  const stored = service('auth', { namespace, spec: spec! })
  api.put('services', { ...stored, metadata: { ...stored.metadata, ...metadata } })
  api.put(
    'endpointslices',
    slice('auth', {
      namespace,
      endpoints: [{ address: '127.0.0.1' }],
      ports: [{ name: spec!.ports![0]!.name, protocol: 'TCP', port: Number(authPort) }],
    }),
  )

  const answers = async (address: string) => (await fetch(address)).status === 200
  await until(() => answers(`${adminUrl}/readyz`), 'the readiness probe succeeds')
  t.true(await answers(`${adminUrl}/livez`))
  await until(() => answers(`${url}/api/users`), 'the house is found')
  t.deepEqual(await (await fetch(`${url}/api/users`)).json(), { message: 'Welcome from AUTH service' })

  const login = await signUpAndLogIn(url)
  t.is(login.status, 200)
  const { access_token: token } = (await login.json()) as { access_token: string }
  const me = (headers: Record<string, string>) => fetch(`${url}/api/user/me`, { headers })
  t.is((await me({ Authorization: `Bearer ${token}` })).status, 200)
  t.is((await me({})).status, 401)
  // As Prometheus asks, which does not come from this machine: it says whose it is.
  const metrics = await fetch(`${adminUrl}/metrics`, {
    headers: { Authorization: `Bearer ${secret}`, 'X-Forwarded-For': '10.244.0.9' },
  })
  t.is(metrics.status, 200)

  // kubectl apply, by and by: the kubelet puts another folder in the place of the one that `..data` leads to.
  swap(folder, { 'gateway.yaml': 'services: { auth: { path: /api/people, strip: /api } }' }, '..2026_02')
  const gone = async () => (await fetch(`${url}/api/users`)).status === 404
  await until(gone, 'the new gateway.yaml holds')
}

async function signUpAndLogIn(url: string): Promise<Response> {
  const post = (path: string) =>
    fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ email: 'mina@example.com', password: 'a long enough password' }),
    })
  // Its tables are being made meanwhile.
  await until(async () => (await post('/api/user/signup')).status < 500, 'the auth service has its tables')
  return post('/api/user/login')
}

/** A ConfigMap as a kubelet mounts it: `gateway.yaml` → `..data/gateway.yaml`, `..data` → `..2026_01`. */
function configMapFolder(t: ExecutionContext, data: Readonly<Record<string, string>>): string {
  const folder = configFolder(t)
  swap(folder, data, '..2026_01')
  for (const name of Object.keys(data)) symlinkSync(join('..data', name), join(folder, name))
  return folder
}

function swap(folder: string, data: Readonly<Record<string, string>>, version: string): void {
  mkdirSync(join(folder, version))
  for (const [name, text] of Object.entries(data)) writeFileSync(join(folder, version, name), text)
  symlinkSync(version, join(folder, '..data_tmp'))
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
}
