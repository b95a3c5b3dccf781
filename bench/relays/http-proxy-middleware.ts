import { nodeRelay } from './relay.ts'

const name = 'http-proxy-middleware'
const program = 'http-proxy-middleware.mjs'

export const httpProxyMiddleware = nodeRelay(
  name,
  'on connect, with a keep-alive agent; no log',
  name,
  program,
  { KEEP_ALIVE: 'yes' },
)

export const httpProxyMiddlewareAsShipped = nodeRelay(
  `${name} as shipped`,
  'on connect, default options (a connection per request); no log',
  name,
  program,
)
