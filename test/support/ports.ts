import { randomInt } from 'node:crypto'
import dgram from 'node:dgram'
import { once } from 'node:events'
import net from 'node:net'

// Below all that a system gives to those who ask for any port, or connect to somewhere (Linux begins at 32768), and
// beside those that have a meaning (8001, 8080, 8500, 9090 …). Nobody comes to a port of these by chance: neither
// before a process has begun to listen on it, nor after a server has gone, while a test sees that it is gone.
const first = 10_000
const count = 10_000

/** Where a port is claimed: on the UDP port so much above it, which the system frees whatever ends this process. */
const claimsAbove = 10_000
let next = randomInt(count)

/** A port that no other test asks for while this test file runs, whether somebody listens on it or not. */
async function claimPort(): Promise<number> {
  for (let tried = 0; tried < count; tried += 1) {
    const port = first + next
    next = (next + 1) % count
    const claim = dgram.createSocket('udp4')
    claim.bind({ port: port + claimsAbove, address: '127.0.0.1', exclusive: true })
    const isOurs = await succeeds(claim, 'listening')
    claim.unref()
    if (isOurs) return port
    claim.close()
  }
  throw new Error(`all ports from ${first} to ${first + count - 1} are taken`)
}

async function succeeds(emitter: net.Server | dgram.Socket, event: string): Promise<boolean> {
  return once(emitter, event).then(
    () => true,
    () => false,
  )
}

/** Lets the server listen on a port that is nobody else's, also once the server has gone. */
export async function listenOnOwnPort(server: net.Server, host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = await claimPort()
    server.listen(port, host)
    if (await succeeds(server, 'listening')) return port
  }
}

/** Ports for processes that have to be told one: free on every address of this machine, and no other test's. */
export async function freePorts(wanted: number): Promise<readonly number[]> {
  const ports: number[] = []
  while (ports.length < wanted) {
    const port = await claimPort()
    const server = net.createServer().listen(port)
    if (!(await succeeds(server, 'listening'))) continue
    await once(server.close(), 'close')
    ports.push(port)
  }
  return ports
}

export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1)
  return port
}
