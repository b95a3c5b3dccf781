import http from 'node:http'
import connect from 'connect'
import { createProxyMiddleware } from 'http-proxy-middleware'

const options = { target: process.env.ORIGIN }
if (process.env.KEEP_ALIVE) options.agent = new http.Agent({ keepAlive: true })

const app = connect()
app.use('/api/bench', createProxyMiddleware(options))
http.createServer(app).listen(Number(process.env.PORT), '127.0.0.1')
