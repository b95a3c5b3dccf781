import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { consulTest, startConsul } from '../support/consul.ts'
import { startDnsServer } from '../support/dns-server.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { startKubernetesApi } from '../support/kubernetes-api.ts'
import { service, slice } from '../support/kubernetes-objects.ts'
import { startProcess } from '../support/processes.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'

/** A gateway of two workers, unless told otherwise, with this gateway.yaml. */
async function start(t: ExecutionContext, services: object, env: Readonly<Record<string, string>>) {
  const cwd = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(cwd, { recursive: true, force: true }))
  const write = (text: string) => writeFile(join(cwd, 'gateway.yaml'), text)
  await write(JSON.stringify({ services }))
  const settings = { NODE_ENV: 'test', HOST: '127.0.0.1', PORT: '0', DRAIN_DELAY: '0s', WORKERS: '2', ...env }
  const process = startProcess(t, 'src/main.ts', settings, { cwd })
  const [, url = ''] = await process.printed(/listens on (http:\/\/[\w.]+:\d+)/)
  /** What six connections are answered: the workers take turns. */
  const ask = async (path: string) => {
    const replies = await Promise.all(Array.from({ length: 6 }, () => request(url + path)))
    return replies.map(({ status, body }) => ({ status, body }))
  }
  return {
    process,
    write,
    ask,
    /** Waits until every worker answers like this. */
    all: (path: string, wanted: (reply: { status: number; body: string }) => boolean) =>
      until(async () => (await ask(path)).every(wanted), `${path} of all workers`),
  }
}

const answers =
  (status: number) =>
  (reply: { readonly status: number }): boolean =>
    reply.status === status

consulTest('Consul is asked as much by two workers as by one, and they all know how it is', async (t) => {
  const consul = await startConsul(t)
  const { port } = await httpUpstream(t, (_request, reply) => void reply.end('ok'))
  for (const name of ['orders', 'users']) {
    const tags = ['gateway.enable=true', 'gateway.auth=none']
    await consul.client.agent.service.register({ name, address: '127.0.0.1', port, tags })
  }
  const proxies = [await startFaultProxy(t, consul.port), await startFaultProxy(t, consul.port)] as const
  const [one, two] = await Promise.all(
    proxies.map(({ address }, index) =>
      start(
        t,
        {},
        { DISCOVERY: 'consul', CONSUL_HTTP_ADDR: address, WORKERS: String(index + 1), REGISTER: 'false' },
      ),
    ),
  )
  for (const gateway of [one!, two!]) {
    for (const path of ['/api/orders', '/api/users']) await gateway.all(path, answers(200))
  }
  // One blocking query for the catalog, and one for each service.
  t.deepEqual(await Promise.all(proxies.map(({ connections }) => connections())), [3, 3])

  proxies[1].set({ kind: 'reset' })
  await two!.all('/readyz', ({ body }) => JSON.parse(body).discovery.consul === 'failing')
  t.true((await two!.ask('/api/orders')).every(answers(200)), 'the last known is served')
  proxies[1].set(undefined)
  await two!.all('/readyz', ({ body }) => JSON.parse(body).discovery.consul === 'live')
})

test('names are resolved once for all workers, also when gateway.yaml names others', async (t) => {
  const dns = await startDnsServer(t)
  const { port } = await httpUpstream(t, (_request, reply) => void reply.end('ok'))
  dns.answer('a.test', { A: ['127.0.0.1'], ttl: 3600 })
  dns.answer('b.test', { A: ['127.0.0.1'], ttl: 3600 })
  const house = (host: string) => ({
    [host]: { urls: [`http://${host}.test:${port}`], auth: 'none', openapi: false },
  })
  const env = { DISCOVERY: 'dns', DNS_SERVER: dns.address, DNS_REFRESH: '1h' }
  const gateway = await start(t, house('a'), env)
  await gateway.all('/api/a', answers(200))
  const asked = dns.asked('a.test')
  t.true(asked <= 2, `${asked} questions, A and AAAA`)

  await gateway.write(JSON.stringify({ services: house('b') }))
  await gateway.all('/api/b', answers(200))
  await gateway.all('/api/a', answers(404))
  t.true(dns.asked('b.test') <= 2)
})

test('a worker that takes another’s place while gateway.yaml is wrong begins with what is in force', async (t) => {
  const { origin } = await httpUpstream(t, (_request, reply) => void reply.end('ok'))
  const house = { urls: [origin], auth: 'none', openapi: false }
  const gateway = await start(t, { old: house }, {})
  const [, pid] = await gateway.process.printed(/workers +2 \(pid (\d+)/)
  await gateway.write(JSON.stringify({ services: { house } }))
  await gateway.all('/api/house', answers(200))
  await gateway.write('services: [')
  for (const worker of [1, 2]) {
    await gateway.process.printed(new RegExp(`\\[${worker}\\] warn: config: gateway.yaml is not taken over`))
  }
  process.kill(Number(pid), 'SIGKILL')
  await gateway.process.printed(/worker 1 \(pid \d+\) listens/)
  t.true((await gateway.ask('/api/house')).every(answers(200)))
  await gateway.all('/readyz', ({ body }) => JSON.parse(body).config === 'rejected')
})

test('Kubernetes is watched once for all workers, those that join later too', async (t) => {
  const { port } = await httpUpstream(t, (_request, reply) => void reply.end('ok'))
  const api = await startKubernetesApi(t)
  const put = (name: string) => {
    const ports = [{ name: 'http', protocol: 'TCP', port }]
    api.put('services', service(name, { annotations: { auth: 'none', openapi: 'false' } }))
    api.put('endpointslices', slice(name, { ports, endpoints: [{ address: '127.0.0.1' }] }))
  }
  put('old')
  const env = { DISCOVERY: 'kubernetes', KUBECONFIG: await api.kubeconfig() }
  const gateway = await start(t, {}, env)
  await gateway.all('/api/old', answers(200))
  put('house')
  await gateway.all('/api/house', answers(200))
  const [, pid] = await gateway.process.printed(/workers +2 \(pid (\d+)/)
  process.kill(Number(pid), 'SIGKILL')
  await gateway.process.printed(/worker 1 \(pid \d+\) listens/)
  t.true((await gateway.ask('/api/house')).every(answers(200)))
  t.is(api.calls.filter(({ verb }) => verb === 'list').length, 2, 'services, and endpoint slices')
})

consulTest('the gateway is registered once for all workers, and leaves while they still serve', async (t) => {
  const consul = await startConsul(t)
  const env = { CONSUL_HTTP_ADDR: consul.address, ADVERTISE_HOST: '127.0.0.1', DRAIN_DELAY: '60s' }
  const gateway = await start(t, {}, { DISCOVERY: 'consul', ...env })
  const registered = async () => Object.values(await consul.client.agent.service.list())
  await until(async () => (await registered()).length === 1, 'it is registered')
  const [entry] = await registered()
  const [, port] = await gateway.process.printed(/listens on http:.*:(\d+)/)
  t.like(entry, { Address: '127.0.0.1', Port: Number(port) })
  gateway.process.kill('SIGTERM')
  await until(async () => (await registered()).length === 0, 'it has left')
  await gateway.all('/readyz', answers(503))
  t.true((await gateway.ask('/livez')).every(answers(200)))
  // Nothing more is to be seen: it is let out, as by a person who asks again.
  const again = setInterval(() => gateway.process.kill('SIGINT'), 200)
  t.teardown(() => clearInterval(again))
  await gateway.process.exited
})
