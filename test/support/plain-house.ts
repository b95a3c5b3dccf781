import { createServer } from 'node:http'

/** A program: a house that answers everything, on PORT. */
const server = createServer((_request, reply) => reply.end('here'))
server.listen(Number(process.env.PORT), '127.0.0.1', () => void process.stdout.write('listens on it\n'))
