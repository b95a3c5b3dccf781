import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { configFolder } from './support/config.ts'
import { startLiveGateway } from './support/live-gateway.ts'
import { fullFile, mistyped, typos } from './support/typos.ts'
import { until } from './support/until.ts'

test('under every typo the last good file goes on serving, readiness and the metric say so, and the mended one is taken', async (t) => {
  const gateway = await startLiveGateway(t, fullFile)
  await gateway.current()
  for (const typo of typos) {
    const told = gateway.process.output().length
    await gateway.write(mistyped(typo))
    await gateway.rejected()
    t.is(await gateway.get('/api/house/x'), '200 house /house/x', typo.what)
    t.is(await gateway.get('/api/house/me'), '401 ', typo.what)
    const [line, ...key] = typo.at.split(' ')
    const log = gateway.process.output().slice(told)
    t.regex(log, new RegExp(`config: gateway\\.yaml:${line}:\\d+ `), typo.what)
    t.true(log.includes(` ${key.join(' ')}: found `), `${typo.what}: ${log}`)
    await gateway.write(fullFile)
    await gateway.current()
  }
})

test('a good change is served without a restart, and a request on its way ends as it began', async (t) => {
  const gateway = await startLiveGateway(t, fullFile)
  const slow = gateway.get('/api/house/slow')
  await until(() => gateway.house.connections.open > 0, 'the request is at the house')
  await gateway.write(fullFile.replace('/api/house, ', '').replace('/api/door', '/api/gate'))
  await until(async () => (await gateway.get('/api/gate')) === '200 house /gate', 'the new path is served')
  t.is(await gateway.get('/api/house/x'), '404 ')
  t.is(await gateway.get('/api/door'), '404 ')
  t.is(await slow, '200 slow house')
})

test('SIGHUP has the file read at once, and does not end the process', async (t) => {
  const gateway = await startLiveGateway(t, fullFile)
  gateway.process.kill('SIGHUP')
  await gateway.process.printed(/gateway\.yaml: it says what is in force/)
  await gateway.write('services: [')
  gateway.process.kill('SIGHUP')
  await gateway.rejected()
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
  const gateway = await startLiveGateway(t, '', { GATEWAY_CONFIG: join(folder, 'gateway.yaml') })
  t.is(await gateway.get('/api/door'), '200 house /door')
  await publish('..2', fullFile.replace('/api/door', '/api/gate'))
  await rm(join(folder, '..1'), { recursive: true })
  await until(async () => (await gateway.get('/api/gate')) === '200 house /gate', 'the new path is served')
  await gateway.current()
})
