// Load at a fixed rate, open loop: a request is due whether or not earlier ones were answered, and one that finds
// every connection busy waits with its clock running, so that a stall of the relay is seen by all it delayed.
// (autocannon sends each second's share as one burst and wrk has no rate at all.) Prints one line of JSON.
import net from 'node:net'

const { host, port, method, path, body, rate, seconds, connections } = JSON.parse(process.argv[2])
const request = Buffer.from(
  `${method} ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\n` +
    (body ? `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n` : '') +
    `\r\n${body ?? ''}`,
  'latin1',
)

// Not counted: connections open and this program's own code becomes hot.
const LEAD_IN_MS = 500

const latenciesMs = []
let answered = 0
const waiting = []
const idle = []
let errors = 0
let ended = false

/** Bytes of the whole reply where its Content-Length tells; Infinity until a chunked one shows its end. */
const replyBytes = (head, headEnd) => {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  return length === undefined ? Number.POSITIVE_INFINITY : headEnd + 4 + Number(length)
}

const open = () => {
  const socket = net.connect({ host, port, noDelay: true })
  const connection = { socket, startedMs: 0, expected: 0, received: 0, head: '', closing: false }
  socket.on('connect', () => next(connection))
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    if (ended) return
    if (connection.startedMs > 0) errors++
    const at = idle.indexOf(connection)
    if (at >= 0) idle.splice(at, 1)
    open()
  })
  socket.on('data', (chunk) => read(connection, chunk))
}

const read = (connection, chunk) => {
  connection.received += chunk.length
  if (connection.expected === 0) {
    connection.head += chunk.latin1Slice()
    const headEnd = connection.head.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const head = connection.head.slice(0, headEnd)
    if (!head.startsWith('HTTP/1.1 200')) errors++
    connection.closing = /\r\nconnection: *close/i.test(head)
    connection.expected = replyBytes(head, headEnd)
  }
  const whole =
    connection.expected === Number.POSITIVE_INFINITY
      ? chunk.latin1Slice(-5) === '0\r\n\r\n'
      : connection.received >= connection.expected
  if (!whole) return
  answered++
  if (connection.startedMs >= countFromMs) latenciesMs.push(performance.now() - connection.startedMs)
  connection.startedMs = 0
  if (connection.closing) connection.socket.end()
  else next(connection)
}

const next = (connection) => {
  const dueMs = waiting.shift()
  if (dueMs === undefined) idle.push(connection)
  else send(connection, dueMs)
}

const send = (connection, dueMs) => {
  connection.startedMs = dueMs
  connection.expected = 0
  connection.received = 0
  connection.head = ''
  connection.socket.write(request)
}

const startMs = performance.now()
const countFromMs = startMs + LEAD_IN_MS
const total = Math.round(((LEAD_IN_MS + seconds * 1000) * rate) / 1000)
for (let i = 0; i < connections; i++) open()

let due = 0
const tick = setInterval(() => {
  const nowMs = performance.now()
  const target = Math.min(((nowMs - startMs) * rate) / 1000, total)
  for (; due < target; due++) {
    const connection = idle.pop()
    if (connection) send(connection, nowMs)
    else waiting.push(nowMs)
  }
  if (nowMs - countFromMs < (seconds + 10) * 1000 && answered < total) return
  clearInterval(tick)
  finish()
}, 1)

const finish = () => {
  ended = true
  latenciesMs.sort((a, b) => a - b)
  const quantile = (q) =>
    latenciesMs[Math.min(latenciesMs.length - 1, Math.floor(latenciesMs.length * q))] ?? null
  const unanswered = due - answered
  console.log(JSON.stringify({ due, errors, unanswered, p50Ms: quantile(0.5), p99Ms: quantile(0.99) }))
  process.exit(0)
}
