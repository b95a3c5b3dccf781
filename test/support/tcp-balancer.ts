import { once } from 'node:events'
import net, { type Socket } from 'node:net'
import type { ExecutionContext } from 'ava'
import { listenOnOwnPort } from './ports.ts'
import { request } from './request.ts'
import { until } from './until.ts'

export interface TcpBalancer {
  readonly url: string
  /** From now on the backend of this name is here: connections that it has stay where they are. Waits until it is ready. */
  set(name: string, port: number): Promise<void>
}

interface Backend {
  readonly port: number
  ready: boolean
  asked: boolean
}

const checkEveryMs = 100

/**
 * A balancer that knows nothing of HTTP: each new connection goes to the next backend whose `GET /readyz` is 200, and
 * stays there. Where a connection does not come about the next one is tried; nothing else is ever repeated.
 */
export async function startTcpBalancer(t: ExecutionContext): Promise<TcpBalancer> {
  const backends = new Map<string, Backend>()
  let turn = 0
  const sockets = new Set<Socket>()
  const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) => {
    keep(client)
    void lead(client)
  })

  function keep(socket: Socket): void {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  }

  async function lead(client: Socket): Promise<void> {
    turn += 1
    const ready = [...backends.values()].filter((backend) => backend.ready)
    for (let i = 0; i < ready.length; i += 1) {
      const backend = await connect(ready[(turn + i) % ready.length]!.port)
      if (backend !== undefined) return join(client, backend)
    }
    client.resetAndDestroy()
  }

  async function connect(port: number): Promise<Socket | undefined> {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    keep(socket)
    return once(socket, 'connect').then(
      () => socket,
      () => undefined,
    )
  }

  const port = await listenOnOwnPort(server)
  const checks = setInterval(() => {
    for (const backend of backends.values()) void check(backend)
  }, checkEveryMs)
  t.teardown(() => {
    clearInterval(checks)
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    url: `http://127.0.0.1:${port}`,
    async set(name, port) {
      const backend = { port, ready: false, asked: false }
      backends.set(name, backend)
      await until(() => backend.ready, `${name} is ready`)
    },
  }
}

async function check(backend: Backend): Promise<void> {
  if (backend.asked) return
  backend.asked = true
  backend.ready = await request(`http://127.0.0.1:${backend.port}/readyz`).then(
    ({ status }) => status === 200,
    () => false,
  )
  backend.asked = false
}

/** What one end says the other hears, how it ends as well. */
function join(client: Socket, backend: Socket): void {
  for (const [from, to] of [
    [client, backend],
    [backend, client],
  ] as const) {
    from.pipe(to)
    from.once('error', () => to.resetAndDestroy())
    from.once('close', () => to.destroySoon())
  }
}
