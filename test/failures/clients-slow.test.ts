import { once } from 'node:events'
import net from 'node:net'
import type { ExecutionContext } from 'ava'
import { createDoorServer } from '../../src/door/server.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { inParallel } from '../support/kept-connections.ts'
import { startSteadyLoad } from '../support/steady-load.ts'
import { httpUpstream } from '../support/upstream.ts'
import { row, scaled } from './row.ts'

const head = 'POST /api/house HTTP/1.1\r\nHost: gateway\r\n'
/** What they send at once, and what they go on sending. */
const manners = [
  { slow: 'head', first: 'GET /api/house HTTP/1.1\r\nX-Slow: ', further: 'a' },
  { slow: 'head', first: 'GET /api/house HTTP/1.1\r\n', further: 'X-A: b\r\n' },
  { slow: 'head', first: '', further: '' },
  { slow: 'body', first: `${head}Content-Length: 1000\r\n\r\nhalf`, further: '' },
  { slow: 'body', first: `${head}Content-Length: 10000\r\n\r\n`, further: 'a' },
  { slow: 'body', first: `${head}Transfer-Encoding: chunked\r\n\r\n`, further: '1\r\na\r\n' },
] as const

/** Resolves with how many seconds after its connection it was cut. */
async function slowClient(
  t: ExecutionContext,
  port: number,
  { first, further }: (typeof manners)[number],
  everyMs: number,
): Promise<number> {
  const socket = net.connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.resume()
  const over = once(socket, 'end').catch(() => {})
  await once(socket, 'connect')
  const startedAt = performance.now()
  socket.write(first)
  const drip = setInterval(() => further !== '' && socket.write(further), everyMs)
  t.teardown(() => clearInterval(drip))
  await Promise.race([over, once(socket, 'close')])
  clearInterval(drip)
  socket.destroy()
  return (performance.now() - startedAt) / 1000
}

row('slowloris', async (t, see) => {
  const house = await httpUpstream(t, (request, response) => {
    request.resume()
    request.on('end', () => response.end('ok'))
  })
  // In the suite the limits are shorter, which for heads is no setting: a second door, in front of nothing.
  const isShort = scaled(1, 0) === 1
  const gateway = await startGatewayProcess(t, house.origin, isShort ? { IDLE_TIMEOUT: '1s' } : {})
  const heads = isShort ? await shortDoor(t) : gateway.port
  const others = startSteadyLoad(t, `${gateway.url}/api/house`, { connections: 4 })
  const count = scaled(60, 500)
  const seconds = await inParallel(count, count, (i) => {
    const manner = manners[i % manners.length]!
    return slowClient(t, manner.slow === 'head' ? heads : gateway.port, manner, scaled(100, 5000))
  })
  await others.stop()
  t.deepEqual(others.failures, [])
  const longest = Math.max(...seconds)
  t.true(isShort || longest <= 90, `${longest} s`)
  see(
    `${count} slow clients cut after ${Math.min(...seconds).toFixed(0)} to ${longest.toFixed(0)} s, 0 of ${others.sent} requests of others failed`,
  )
})

async function shortDoor(t: ExecutionContext): Promise<number> {
  const server = createDoorServer({
    onRequest: (_request, response) => void response.end('ok'),
    onWebSocket: (_request, socket) => void socket.destroy(),
    onUnparsable: () => {},
    headersTimeoutMs: 1000,
  })
  t.teardown(() => server.close(AbortSignal.abort()))
  return (await server.listen(0, '127.0.0.1')).port
}
