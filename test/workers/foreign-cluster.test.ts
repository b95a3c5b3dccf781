import test from 'ava'
import { startProcess } from '../support/processes.ts'
import { request } from '../support/request.ts'

const settings = { NODE_ENV: 'test', HOST: '127.0.0.1', PORT: '0', DRAIN_DELAY: '0s' }

test("as a worker of another program's cluster it is a gateway of one process", async (t) => {
  const manager = startProcess(t, 'test/support/foreign-cluster.ts', settings)
  const [, port] = await manager.printed(/listens on http:\/\/[\w.]+:(\d+)/)
  const reply = await request(`http://127.0.0.1:${port}/livez`)
  t.is(reply.status, 200)
  manager.kill('SIGTERM')
  t.deepEqual(await manager.exited, { code: 0, signal: null })
})

test("WORKERS within another program's cluster is refused", async (t) => {
  const manager = startProcess(t, 'test/support/foreign-cluster.ts', { ...settings, WORKERS: '2' })
  await manager.printed(/cannot start: WORKERS: 2 in a process that is a worker of another cluster/)
  t.is((await manager.exited).code, 1)
})
