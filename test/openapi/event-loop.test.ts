import test from 'ava'
import { readDocument } from '../../src/openapi/read-document.ts'
import { startGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'

test('a large document costs the event loop less at a time than reading it would', async (t) => {
  const operation = { responses: { 200: { description: 'Good'.repeat(40) } } }
  const paths = Object.fromEntries(
    Array.from({ length: 15_000 }, (_, i) => [`/things/${i}`, { get: operation }]),
  )
  const bytes = Buffer.from(
    JSON.stringify({ openapi: '3.1.0', info: { title: 'Large', version: '1' }, paths }),
  )
  const readingMs = readingTime(bytes)
  const house = await httpUpstream(t, (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(bytes)
  })
  const { url } = await startGateway(t, { file: { services: { house: { urls: [house.origin] } } } })
  const longest = measureTurns()
  const { headers } = await fetch(`${url}/openapi.json`, { method: 'HEAD' })
  await until(async () => {
    const later = await fetch(`${url}/openapi.json`, { method: 'HEAD' })
    return later.headers.get('etag') !== headers.get('etag')
  }, 'the large document is merged')
  const longestMs = longest()
  t.true(longestMs < readingMs, `${longestMs} ms at a time, reading takes ${readingMs}`)
})

/** CPU time of this thread in milliseconds: other load on the machine does not change it. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

function readingTime(bytes: Buffer): number {
  const before = cpuMs()
  readDocument(bytes)
  return cpuMs() - before
}

/** Begins to measure the event loop's turns; gives what the longest one took once it is called. */
function measureTurns(): () => number {
  let last = cpuMs()
  let longestMs = 0
  let measuring = true
  setImmediate(function turn() {
    const now = cpuMs()
    longestMs = Math.max(longestMs, now - last)
    last = now
    if (measuring) setImmediate(turn)
  })
  return () => {
    measuring = false
    return longestMs
  }
}
