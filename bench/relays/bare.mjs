// The least that relays HTTP/1.1 in Node with these two parts: end-to-end headers copied, bodies streamed both ways
// with back-pressure, 502 when the origin fails, the origin let go when the client leaves (else its connections are used up
// by what a load tool breaks off). No routes, no log, no deadline.
import http from 'node:http'
import { Pool } from 'undici'

const pool = new Pool(process.env.ORIGIN, { connections: 128, pipelining: 1 })

// RFC 9110 section 7.6.1; undici sets Host and refuses Expect.
const NOT_FORWARDED = new Set([
  'connection',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

const endToEnd = (headers) => {
  const copy = {}
  for (const name in headers) if (!NOT_FORWARDED.has(name)) copy[name] = headers[name]
  return copy
}

class Reply {
  constructor(res) {
    this.res = res
  }
  onRequestStart(controller) {
    this.res.on('close', () => {
      if (!this.res.writableFinished) controller.abort(new Error('the client left'))
    })
  }
  onResponseStart(_controller, status, headers, statusMessage) {
    this.res.writeHead(status, statusMessage, endToEnd(headers))
  }
  onResponseData(controller, chunk) {
    if (this.res.write(chunk)) return
    controller.pause()
    this.res.once('drain', () => controller.resume())
  }
  onResponseEnd() {
    this.res.end()
  }
  onResponseError() {
    if (this.res.destroyed) return
    if (this.res.headersSent) return void this.res.destroy()
    this.res.writeHead(502)
    this.res.end()
  }
}

http
  .createServer((req, res) => {
    const { url: path, method, headers } = req
    const hasBody = headers['content-length'] > 0 || headers['transfer-encoding'] !== undefined
    const body = hasBody ? req : null
    pool.dispatch({ path, method, headers: endToEnd(headers), body }, new Reply(res))
  })
  .listen(Number(process.env.PORT), '127.0.0.1')
