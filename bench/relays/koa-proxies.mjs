import http from 'node:http'
import Koa from 'koa'
import proxies from 'koa-proxies'

const options = { target: process.env.ORIGIN, rewrite: (path) => path.slice('/api/bench'.length) }
if (process.env.KEEP_ALIVE) options.agent = new http.Agent({ keepAlive: true })

const app = new Koa()
app.use(proxies('/api/bench', options))
app.listen(Number(process.env.PORT), '127.0.0.1')
