import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { inParallel, keptConnection } from '../support/kept-connections.ts'
import { openLoop, percentile } from '../support/open-loop.ts'
import { openSockets } from '../support/open-sockets.ts'
import { request } from '../support/request.ts'
import { fileLimit, restingKb } from '../support/resident-memory.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'
import { nextMessage, openWebSocket, webSocketHouse } from '../support/websocket.ts'
import { row, scaled } from './row.ts'

/** One after the other: each is about what one process holds. */
const alone = test.serial
const atOnce = 50
const mostKb = 25
/** What may not have been collected yet, where few connections have to answer for it: as much as a young generation. */
const garbageKb = scaled(32_768, 0)

async function needsFiles(count: number): Promise<void> {
  const limit = await fileLimit('self')
  if (limit < count)
    throw new Error(`this takes ${count} open files, and ${limit} are allowed: ulimit -n ${count}`)
}

/** Requests that make the process as large as it gets by working. */
async function warmUp(t: ExecutionContext, port: number): Promise<void> {
  await inParallel(atOnce, atOnce, async () => {
    const connection = await keptConnection(t, port)
    for (let i = 0; i < scaled(20, 200); i++) await connection.get('/api/house')
    connection.socket.destroy()
  })
}

row(
  'idle-connections',
  async (t, see) => {
    const count = scaled(600, 10_000)
    await needsFiles(count + 300)
    const house = await httpUpstream(t, (_request, response) => response.end('ok'))
    const { port, url, process } = await startGatewayProcess(t, house.origin)
    await warmUp(t, port)
    const before = await restingKb(process.pid)

    const connections = await inParallel(count, atOnce, async () => {
      const connection = await keptConnection(t, port)
      t.is(await connection.get('/api/house'), 200)
      return connection
    })
    const kb = ((await restingKb(process.pid)) - before) / count
    t.true((await openSockets(process.pid)) >= count)
    for (let i = 0; i < 20; i++) t.is((await request(`${url}/api/house`)).status, 200)
    const again = await inParallel(count, atOnce, (i) => connections[i]!.get('/api/house'))
    t.true(again.every((status) => status === 200))
    t.true(kb <= mostKb + garbageKb / count, `${kb} KB each`)
    see(`${count} connections: ${kb.toFixed(1)} KB each, all answered again`)
  },
  alone,
)

row(
  'open-websockets',
  async (t, see) => {
    const count = scaled(200, 5000)
    await needsFiles(2 * count + 300)
    const house = await webSocketHouse(t)
    const { port, url, process } = await startGatewayProcess(t, house.origin)
    await warmUp(t, port)
    const idle = await openSockets(process.pid)
    const before = await restingKb(process.pid)

    const sockets = await inParallel(count, atOnce, () => openWebSocket(t, `${url}/api/house`))
    const echoes = await inParallel(count, atOnce, async (i) => {
      const echo = nextMessage(sockets[i]!)
      sockets[i]!.send(String(i))
      return echo
    })
    t.deepEqual(
      echoes,
      sockets.map((_, i) => String(i)),
    )
    t.is(house.opened.length, count)
    const kb = ((await restingKb(process.pid)) - before) / count

    const closed = sockets.map((socket) => once(socket, 'close'))
    await house.close()
    await Promise.all(closed)
    await until(async () => (await openSockets(process.pid)) <= idle, 'nothing is left open')
    t.true(kb <= 2 * mostKb + garbageKb / count, `${kb} KB each`)
    see(
      `${count} WebSockets, all echo: ${kb.toFixed(1)} KB each for both connections, nothing left open after the house`,
    )
  },
  alone,
)

/** Low, so that no more clients are needed than there may be files. */
const isShort = scaled(1, 0) === 1
const limit = isShort ? '5ms' : '20ms'

/** Only interpreted: the same gateway, with less time, so that the load that is too much for it fits beside it. */
const slowly = ['--no-opt', '--no-sparkplug', '--no-maglev']

/** Requests a second that it answers where nobody is turned away, to clients who wait for each reply. */
async function capacity(t: ExecutionContext, origin: string): Promise<number> {
  const gateway = await startGatewayProcess(t, origin, {}, slowly)
  await warmUp(t, gateway.port)
  const ms = scaled(500, 5000)
  let answered = 0
  await inParallel(atOnce, atOnce, async () => {
    const connection = await keptConnection(t, gateway.port)
    const endsAt = performance.now() + ms
    for (; performance.now() < endsAt; answered++) await connection.get('/api/house')
    connection.socket.destroy()
  })
  gateway.process.kill('SIGKILL')
  await gateway.process.exited
  return answered / (ms / 1000)
}

/** What comes of so many requests a second, and how long a probe took at most. */
async function load(t: ExecutionContext, origin: string, rate: number, overloadDelay: string) {
  const gateway = await startGatewayProcess(t, origin, { OVERLOAD_DELAY: overloadDelay }, slowly)
  await warmUp(t, gateway.port)
  let over = false
  const probes = (async () => {
    const took: number[] = []
    while (!over) {
      const startedAt = performance.now()
      t.is((await request(`${gateway.url}/livez`)).status, 200)
      took.push(performance.now() - startedAt)
      await delay(200)
    }
    return Math.max(...took)
  })()
  const [seconds, connections] = [scaled(2, 20), scaled(400, 1000)]
  const { latencies } = await openLoop(t, {
    port: gateway.port,
    path: '/api/house',
    rate,
    seconds,
    connections,
  })
  over = true
  const [accepted = [], refused = []] = [latencies.get(200), latencies.get(503)]
  t.is([...latencies.values()].flat().length, accepted.length + refused.length)
  return { gateway, accepted, refused, probeMs: await probes }
}

row(
  'overload',
  async (t, see) => {
    const house = await httpUpstream(t, (_request, response) => response.end('ok'))
    // In the suite what else the machine has to do may end between the two.
    const times = scaled(5, 1.5)
    const rate = times * (await capacity(t, house.origin))
    const { gateway, accepted, refused, probeMs } = await load(t, house.origin, rate, limit)
    t.true(accepted.length > 0)
    t.true(refused.length > 0)
    await until(
      async () => (await request(`${gateway.url}/api/house`)).status === 200,
      'it is over soon after the load',
    )
    if (!isShort) await gateway.process.printed(/no longer overloaded: \d+ requests turned away/)
    const share = Math.round((100 * refused.length) / (accepted.length + refused.length))
    const p99 = percentile(accepted, 0.99)
    see(
      `${Math.round(rate)} requests/s, ${times} times what it can do: ${share} % refused, p99 of the others ${Math.round(p99)} ms, /livez at most ${Math.round(probeMs)} ms`,
    )
    if (isShort) return
    gateway.process.kill('SIGKILL')
    const without = await load(t, house.origin, rate, '0s')
    const p99Without = percentile(without.accepted, 0.99)
    t.true(p99 < p99Without, `${p99} ms, and ${p99Without} ms without shedding`)
    see(
      `without shedding: p99 ${Math.round(p99Without)} ms, /livez at most ${Math.round(without.probeMs)} ms`,
    )
  },
  alone,
)
