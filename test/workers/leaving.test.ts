import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { startProcess } from '../support/processes.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'
import { isAlive, startWorkers } from '../support/workers.ts'

test.serial(
  'connections that were made before the workers take no more are served, though the primary was busy',
  async (t) => {
    const { origin } = await httpUpstream(t, (_request, reply) => void reply.end('ok'))
    const drainDelayMs = 2000
    const env = { DRAIN_DELAY: `${drainDelayMs}ms`, DRAIN_TIMEOUT: '60s' }
    const { url, port, process: primary } = await startWorkers(t, origin, env)
    primary.kill('SIGTERM')
    await until(async () => (await request(`${url}/readyz`)).status === 503, 'the workers have been told')
    primary.kill('SIGSTOP')
    // They are made by the kernel; whose turn it is to take them stands still until after the workers would close.
    const clients = await Promise.all(Array.from({ length: 20 }, () => rawClient(t, port)))
    for (const client of clients) client.send('GET /api/house HTTP/1.1\r\nHost: a\r\n\r\n')
    await delay(drainDelayMs + 500)
    primary.kill('SIGCONT')
    for (const client of clients) await client.receive(/ 200 OK\r\n/)
    t.deepEqual(await primary.exited, { code: 0, signal: null })
  },
)

test.serial(
  'a worker that dies takes no connection with it that it was just being handed, of either port',
  async (t) => {
    const { origin } = await httpUpstream(t, (_request, reply) => void reply.end('ok'))
    const { url, process: primary, pids } = await startWorkers(t, origin, { ADMIN_PORT: '0' })
    const [, admin] = await primary.printed(/admin endpoints on (http:\S+)\/admin/)
    const frozen = pids[0]!
    process.kill(frozen, 'SIGSTOP')
    t.teardown(() => isAlive(frozen) && process.kill(frozen, 'SIGCONT'))
    let over = 0
    const asked = [url, url, url, admin, admin, admin].map((at) =>
      request(`${at}/livez`)
        .then(
          ({ status }) => status,
          () => 'closed',
        )
        .finally(() => {
          over += 1
        }),
    )
    await until(() => over === 4, 'the other worker has answered what it got')
    process.kill(frozen, 'SIGKILL')
    const outcomes = await Promise.all(asked)
    t.deepEqual(outcomes.toSorted(), [200, 200, 200, 200, 'closed', 'closed'])
  },
)

test.serial(
  'a person who asks again after two seconds is let out at once, and no worker is left',
  async (t) => {
    let held = 0
    const { origin } = await httpUpstream(t, () => {
      held += 1
    })
    const { url, process: primary, pids } = await startWorkers(t, origin, { DRAIN_TIMEOUT: '10m' })
    request(`${url}/api/house`).catch(() => {})
    await until(() => held === 1, 'the request is at the house')
    const again = setInterval(() => primary.kill('SIGINT'), 100)
    t.teardown(() => clearInterval(again))
    t.deepEqual(await primary.exited, { code: 130, signal: null })
    await until(() => !pids.some(isAlive), 'the workers have ended')
  },
)

test.serial(
  'signals that reach workers before they listen are for the primary to judge as well',
  async (t) => {
    // Says who it is as soon as it may be told anything: what serves takes longer to load.
    const preload = `data:text/javascript,${encodeURIComponent(`
    import cluster from 'node:cluster'
    if (cluster.isWorker) process.once('newListener', (name) => {
      if (name === 'SIGTERM') setImmediate(() => console.log('loading', process.pid))
    })`)}`
    const env = { NODE_ENV: 'test', HOST: '127.0.0.1', PORT: '0', WORKERS: '2' }
    const options = { cwd: import.meta.dirname, nodeOptions: ['--import', preload] }
    const primary = startProcess(t, 'src/main.ts', env, options)
    const [, first, second] = await primary.printed(/loading (\d+).+loading (\d+)/s)
    for (const pid of [first, second]) process.kill(Number(pid), 'SIGINT')
    primary.kill('SIGINT')
    t.deepEqual(await primary.exited, { code: 0, signal: null })
    t.notRegex(primary.output(), /cannot start/)
  },
)
