import { nodeRelay } from './relay.ts'

export const fastifyHttpProxy = nodeRelay(
  '@fastify/http-proxy',
  'as documented, default options; no log (Fastify’s default)',
  '@fastify/http-proxy',
  'fastify-http-proxy.mjs',
)
