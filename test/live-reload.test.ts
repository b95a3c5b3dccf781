import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { configFolder } from './support/config.ts'
import { startProcess } from './support/processes.ts'
import { request } from './support/request.ts'
import { fullFile, mistyped, typos } from './support/typos.ts'
import { until } from './support/until.ts'
import { httpUpstream } from './support/upstream.ts'

/** The gateway as a process of its own, whose gateway.yaml the test writes. */
async function start(t: ExecutionContext, yaml: string, env: Readonly<Record<string, string>> = {}) {
  const house = await httpUpstream(t, (incoming, response) => {
    if (incoming.url === '/house/slow') setTimeout(() => response.end('slow house'), 1500)
    else response.end(`house ${incoming.url}`)
  })
  const cwd = configFolder(t)
  await writeFile(join(cwd, 'gateway.yaml'), yaml)
  const settings = { NODE_ENV: 'test', HOST: '127.0.0.1', PORT: '0', DRAIN_DELAY: '0s' }
  const process = startProcess(t, 'src/main.ts', { ...settings, HOUSE_URL: house.origin, ...env }, { cwd })
  const [, port] = await process.printed(/listens on http:\/\/[\w.]+:(\d+)/)
  const url = `http://127.0.0.1:${port}`
  const config = async () => {
    const { status, body } = await request(`${url}/readyz`)
    return `${status} ${JSON.parse(body).config}`
  }
  return {
    house,
    process,
    url,
    config,
    /** As an editor does: another file takes its place. */
    async write(text: string) {
      await writeFile(join(cwd, 'gateway.yaml.new'), text)
      await rename(join(cwd, 'gateway.yaml.new'), join(cwd, 'gateway.yaml'))
    },
    became: (state: string) => until(async () => (await config()) === state, `the gateway says ${state}`),
    get: async (path: string) => {
      const { status, body } = await request(url + path)
      return `${status} ${status === 200 ? body : ''}`
    },
  }
}

test('under every typo the last good file goes on serving, readiness says so, and the mended one is taken', async (t) => {
  const gateway = await start(t, fullFile)
  t.is(await gateway.config(), '200 current')
  for (const typo of typos) {
    const told = gateway.process.output().length
    await gateway.write(mistyped(typo))
    await gateway.became('200 rejected')
    t.is(await gateway.get('/api/house/x'), '200 house /house/x', typo.what)
    t.is(await gateway.get('/api/house/me'), '401 ', typo.what)
    const [line, ...key] = typo.at.split(' ')
    const log = gateway.process.output().slice(told)
    t.regex(log, new RegExp(`config: gateway\\.yaml:${line}:\\d+ `), typo.what)
    t.true(log.includes(` ${key.join(' ')}: found `), `${typo.what}: ${log}`)
    await gateway.write(fullFile)
    await gateway.became('200 current')
  }
})

test('a good change is served without a restart, and a request on its way ends as it began', async (t) => {
  const gateway = await start(t, fullFile)
  const slow = gateway.get('/api/house/slow')
  await until(() => gateway.house.connections.open > 0, 'the request is at the house')
  await gateway.write(fullFile.replace('/api/house, ', '').replace('/api/door', '/api/gate'))
  await until(async () => (await gateway.get('/api/gate')) === '200 house /gate', 'the new path is served')
  t.is(await gateway.get('/api/house/x'), '404 ')
  t.is(await gateway.get('/api/door'), '404 ')
  t.is(await slow, '200 slow house')
})

test('SIGHUP has the file read at once, and does not end the process', async (t) => {
  const gateway = await start(t, fullFile)
  gateway.process.kill('SIGHUP')
  await gateway.process.printed(/gateway\.yaml: it says what is in force/)
  await gateway.write('services: [')
  gateway.process.kill('SIGHUP')
  await gateway.became('200 rejected')
  t.is(await gateway.get('/api/house/x'), '200 house /house/x')
})

test('a ConfigMap that Kubernetes swaps is taken over', async (t) => {
  const folder = configFolder(t)
  const publish = async (name: string, text: string) => {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'gateway.yaml'), text)
    await symlink(name, join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  await publish('..1', fullFile)
  await symlink(join('..data', 'gateway.yaml'), join(folder, 'gateway.yaml'))
  const gateway = await start(t, '', { GATEWAY_CONFIG: join(folder, 'gateway.yaml') })
  t.is(await gateway.get('/api/door'), '200 house /door')
  await publish('..2', fullFile.replace('/api/door', '/api/gate'))
  await rm(join(folder, '..1'), { recursive: true })
  await until(async () => (await gateway.get('/api/gate')) === '200 house /gate', 'the new path is served')
  t.is(await gateway.config(), '200 current')
})
