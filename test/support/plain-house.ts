import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A program: a house that answers everything, on PORT. */
const server = createServer((_request, reply) => reply.end('here'))
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  process.stdout.write(`listens on ${(server.address() as AddressInfo).port}\n`)
})
