import { once } from 'node:events'
import type http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import type { InstanceView } from '../../src/admin/instance-view.ts'
import type { RoutesView } from '../../src/admin/list-routes.ts'
import { startProcess } from '../support/processes.ts'
import { keepAliveAgent, request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream } from '../support/upstream.ts'
import { isAlive, startWorkers, type WorkersProcess } from '../support/workers.ts'

const toHouse = /^→ GET \/api\/house/

/** A gateway takes some seconds of CPU to start: the tests that leave it as it was have one together. */
const ends: (() => unknown)[] = []
const file = { teardown: (end: () => unknown) => void ends.push(end) } as ExecutionContext
const waiting: http.ServerResponse[] = []
let gateway: WorkersProcess
let alive: string
let dead: string

test.before('start it', async () => {
  const house = await httpUpstream(file, ({ url }, reply) => {
    if (url === '/hold') waiting.push(reply)
    else setTimeout(() => reply.end('ok'), 20)
  })
  alive = house.origin
  dead = await deadOrigin()
  gateway = await startWorkers(file, alive, { HOUSE_SERVICE_URL: `${alive},${dead}`, DRAIN_DELAY: '1s' })
})

test.after.always('end it', async () => {
  for (const end of ends.toReversed()) await end()
})

test.serial('/admin/routes says in how many workers an instance is ejected', async (t) => {
  const agent = keepAliveAgent(t)
  let instance: InstanceView | undefined
  await until(async () => {
    // On one connection, and so of one worker: the other has not met the dead one yet.
    await request(`${gateway.url}/api/house`, { agent })
    instance = instanceAt(await routesOf(gateway.url), dead)
    return instance?.ejectedForMs !== undefined
  }, 'the dead one is ejected')
  t.true(instance?.usable, 'the other worker still uses it')
  t.regex(instance?.reason ?? '', /^in 1 of 2 workers: ejected for another \d+ s after 5 failures in a row$/)
})

test.serial('two workers share a port, and both serve', async (t) => {
  for (let i = 0; i < 10; i++) t.is((await request(`${gateway.url}/api/house`)).status, 200)
  await until(() => gateway.linesOf(toHouse).size === 2, 'lines of both')
  t.deepEqual([...gateway.linesOf(toHouse).keys()].toSorted(), ['1', '2'])
  t.is(gateway.process.output().split('munjigi listens on').length, 2, 'said once')
})

test.serial('/admin/routes adds up what is in flight in all workers', async (t) => {
  const replies = Array.from({ length: 6 }, () => request(`${gateway.url}/api/house/hold`))
  await until(() => waiting.length === 6, 'six requests are at the house')
  const view = await routesOf(gateway.url)
  t.is(view.workers, 2)
  t.is(instanceAt(view, alive)?.inFlight, 6)
  for (const reply of waiting) reply.end()
  await Promise.all(replies)
})

test.serial('a worker that does not answer is left out of /admin/routes', async (t) => {
  const agent = keepAliveAgent(t)
  const path = '/api/house/mine'
  await request(gateway.url + path, { agent })
  const mine = () => [...gateway.linesOf(/house\/mine/).keys()][0]
  await until(() => mine() !== undefined, 'its line')
  const other = gateway.pids[mine() === '1' ? 1 : 0]!
  process.kill(other, 'SIGSTOP')
  t.teardown(() => isAlive(other) && process.kill(other, 'SIGCONT'))
  const { workers, routes } = await routesOf(gateway.url, agent)
  t.is(workers, undefined)
  t.is(routes.length, 1)
  process.kill(other, 'SIGCONT')
  await until(async () => (await routesOf(gateway.url, agent)).workers === 2, 'both answer again')
})

test.serial('signals that reach a worker are for the primary to judge', async (t) => {
  for (const pid of gateway.pids) for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.kill(pid, name)
  for (let i = 0; i < 6; i++) t.is((await request(`${gateway.url}/api/house`)).status, 200)
  t.deepEqual(gateway.pids.filter(isAlive), gateway.pids)
})

test.serial('SIGTERM under load: every request is answered, then all processes end', async (t) => {
  let answered = 0
  // A client that is told to close its connection goes elsewhere, as one behind a balancer does.
  const clients = Array.from({ length: 8 }, async () => {
    const agent = keepAliveAgent(t)
    for (;;) {
      const { status, headers } = await request(`${gateway.url}/api/house/load`, { agent })
      if (status !== 200) throw new Error(`answered ${status}`)
      answered += 1
      if (headers.connection === 'close') return
    }
  })
  await until(() => gateway.linesOf(/house\/load/).size === 2 && answered > 100, 'both are at work')
  gateway.process.kill('SIGTERM')
  await t.notThrowsAsync(Promise.all(clients))
  t.deepEqual(await gateway.process.exited, { code: 0, signal: null })
  t.log(`0 of ${answered} failed`)
  t.is(gateway.process.errors(), '')
})

test.serial('workers that crash are replaced, later and later, and the other goes on', async (t) => {
  const { origin } = await httpUpstream(t, (_request, reply) => void reply.end('ok'))
  const own = await startWorkers(t, origin)
  let pid = own.pids[1]!
  for (const [index, mostMs] of [200, 400].entries()) {
    process.kill(pid, 'SIGKILL')
    const ended = new RegExp(
      `worker 2 \\(pid ${pid}\\) ended \\(SIGKILL\\); another takes its place in (\\d+) ms`,
    )
    const [, ms] = await own.process.printed(ended)
    t.true(Number(ms) >= mostMs / 2 && Number(ms) <= mostMs, `${ms} ms`)
    t.is((await request(`${own.url}/api/house`)).status, 200)
    const listens = new RegExp(
      `(?:worker 2 \\(pid \\d+\\) listens[^]*){${index}}worker 2 \\(pid (\\d+)\\) listens`,
    )
    const [, next] = await own.process.printed(listens)
    t.not(Number(next), pid)
    pid = Number(next)
  }
  const replaced = () => own.linesOf(/house\/again/).has('2')
  await until(async () => {
    t.is((await request(`${own.url}/api/house/again`)).status, 200)
    return replaced()
  }, 'the new one serves')
})

test.serial('a worker that cannot be started is tried again, and the other goes on', async (t) => {
  const { origin } = await httpUpstream(t, (_request, reply) => void reply.end('ok'))
  // No process can be had, as where the system has no more of them; it comes as an error, without an exit.
  const toggle = `const { execPath } = process
    process.on('SIGUSR2', () => { process.execPath = process.execPath === execPath ? '/nowhere' : execPath })`
  const preload = `data:text/javascript,${encodeURIComponent(toggle)}`
  const own = await startWorkers(t, origin, {}, ['--import', preload])
  own.process.kill('SIGUSR2')
  process.kill(own.pids[1]!, 'SIGKILL')
  await own.process.printed(
    /(?:worker 2 ended \(it could not be started: ENOENT\); another takes its place in \d+ ms.*){2}/s,
  )
  t.is((await request(`${own.url}/api/house`)).status, 200)
  own.process.kill('SIGUSR2')
  await own.process.printed(/worker 2 \(pid \d+\) listens/)
  own.process.kill('SIGTERM')
  t.deepEqual(await own.process.exited, { code: 0, signal: null })
})

test.serial('where the primary is killed its workers end what they are at, and themselves', async (t) => {
  const held = Promise.withResolvers<http.ServerResponse>()
  const { origin } = await httpUpstream(t, (_request, reply) => held.resolve(reply))
  const own = await startWorkers(t, origin, { NODE_ENV: 'production', PUBLIC_URL: 'http://127.0.0.1' })
  const reply = request(`${own.url}/api/house`)
  const atHouse = await held.promise
  own.process.kill('SIGKILL')
  for (const worker of [1, 2]) {
    await own.process.printed(new RegExp(`"worker":${worker},"msg":"the primary is gone`))
  }
  atHouse.end('late')
  t.like(await reply, { status: 200, body: 'late' })
  // Its output is theirs as well: it is over when they are.
  await own.process.exited
  const [access] = /^.*"msg":"request".*$/m.exec(own.process.output())!
  t.true([1, 2].includes(JSON.parse(access).worker), 'lines say which worker')
})

test.serial('a port that is in use is said once, and is exit 1', async (t) => {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const env = { WORKERS: '2', HOST: '127.0.0.1', PORT: String(port) }
  const child = startProcess(t, 'src/main.ts', env, { cwd: import.meta.dirname })
  t.deepEqual(await child.exited, { code: 1, signal: null })
  t.is(
    child.output(),
    `munjigi cannot start: PORT: ${port} is in use; stop what listens there, or set PORT to another one\n`,
  )
})

async function routesOf(url: string, agent?: http.Agent): Promise<RoutesView> {
  const { status, body } = await request(`${url}/admin/routes`, agent && { agent })
  if (status !== 200) throw new Error(`/admin/routes: ${status} ${body}`)
  return JSON.parse(body)
}

const instanceAt = ({ routes }: RoutesView, origin: string) =>
  routes[0]?.instances.find((instance) => instance.origin === origin)
