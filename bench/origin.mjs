// What every relay forwards to: an HTTP/1.1 server on bare sockets, so that the origin costs as little of the load's
// core as Node allows. It understands what the scenarios send and no more.
import net from 'node:net'

const port = Number(process.env.PORT)
const LARGE_BYTES = 64 * 1024

const reply = (body, close) =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: ${new Date().toUTCString()}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n${close ? 'Connection: close\r\n' : ''}\r\n${body}`,
    'latin1',
  )
const message = (fields, bytes) => {
  const open = `{${fields}"message":"`
  return `${open}${'x'.repeat(bytes - open.length - 2)}"}`
}
const small = message('', 200)
const large = message('', LARGE_BYTES)

let replies
const renew = () => {
  replies = new Map([
    ['small', { keep: reply(small, false), close: reply(small, true) }],
    ['large', { keep: reply(large, false), close: reply(large, true) }],
  ])
}
renew()
setInterval(renew, 1000).unref()

const echo = (bytes) => {
  const key = `received ${bytes}`
  if (!replies.has(key)) {
    const body = message(`"received":${bytes},`, 200)
    replies.set(key, { keep: reply(body, false), close: reply(body, true) })
  }
  return replies.get(key)
}

/** End of the chunked body that starts at `from` and its payload's bytes, or undefined while it is incomplete. */
const readChunked = (buffer, from) => {
  let at = from
  let bytes = 0
  for (;;) {
    const lineEnd = buffer.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = Number.parseInt(buffer.latin1Slice(at, lineEnd), 16)
    at = lineEnd + 2 + size + 2
    if (at > buffer.length) return undefined
    if (size === 0) return { end: at, bytes }
    bytes += size
  }
}

const readBody = (head, buffer, from) => {
  if (/\r\ntransfer-encoding:/i.test(head)) return readChunked(buffer, from)
  const bytes = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
  return buffer.length < from + bytes ? undefined : { end: from + bytes, bytes }
}

const server = net.createServer({ noDelay: true }, (socket) => {
  let pending
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    let buffer = pending ? Buffer.concat([pending, chunk]) : chunk
    pending = undefined
    while (buffer.length > 0) {
      const headEnd = buffer.indexOf('\r\n\r\n')
      if (headEnd < 0) break
      const head = buffer.latin1Slice(0, headEnd)
      const lineEnd = head.indexOf('\r\n')
      const path = head.slice(head.indexOf(' ') + 1, head.indexOf(' HTTP/1.'))
      const get = head.startsWith('GET ')
      const body = get ? { end: headEnd + 4, bytes: 0 } : readBody(head, buffer, headEnd + 4)
      if (body === undefined) break
      const answer = get ? replies.get(path.endsWith('/large') ? 'large' : 'small') : echo(body.bytes)
      const close = /\r\nconnection: *close/i.test(head) || head.startsWith('HTTP/1.0', lineEnd - 8)
      if (close) return void socket.end(answer.close)
      socket.write(answer.keep)
      buffer = buffer.subarray(body.end)
    }
    if (buffer.length > 0) pending = buffer
  })
})
server.listen(port, process.env.HOST ?? '127.0.0.1', 1024)
