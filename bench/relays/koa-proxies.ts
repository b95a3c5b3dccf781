import { nodeRelay } from './relay.ts'

const name = 'koa-proxies'
const program = 'koa-proxies.mjs'

export const koaProxies = nodeRelay(name, 'with a keep-alive agent; no log', name, program, {
  KEEP_ALIVE: 'yes',
})

export const koaProxiesAsShipped = nodeRelay(
  `${name} as shipped`,
  'default options (a connection per request); no log',
  name,
  program,
)
