import proxy from '@fastify/http-proxy'
import Fastify from 'fastify'

const server = Fastify()
server.register(proxy, { upstream: process.env.ORIGIN, prefix: '/api/bench' })
await server.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
