import test from 'ava'
import { startGateway } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { scrape } from '../support/scrape.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream } from '../support/upstream.ts'
import { DeclinedError, openWebSocket, webSocketHouse } from '../support/websocket.ts'

/** What clients sent and counted themselves, by the name of the request's kind. */
type Sent = Record<string, number>

/** Metrics of one name added up. */
function sum(text: string, name: string): number {
  const lines = text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))
  return [...lines].reduce((total, [, value]) => total + Number(value), 0)
}

test('what clients sent, what is counted and what the access log says come to the same', async (t) => {
  const arrived = new Set<string>()
  const house = await httpUpstream(t, (incoming, response) => {
    const { url = '' } = incoming
    arrived.add(url)
    incoming.resume()
    if (url.startsWith('/reset')) incoming.socket.destroy()
    else if (url.startsWith('/half')) {
      response.writeHead(200, { 'Content-Length': '100' }).write('half', () => incoming.socket.destroy())
    } else if (url.startsWith('/endless')) response.write('begins')
    else if (url !== '/silent' && url !== '/left') response.end('ok')
  })
  const sockets = await webSocketHouse(t)
  const open = { auth: 'none', openapi: false }
  const { url, port, access } = await startGateway(t, {
    file: {
      services: {
        house: { ...open, urls: house.origin, path: '/api/house', strip: '/api/house' },
        slow: { ...open, urls: house.origin, path: '/api/slow', strip: '/api/slow', timeout: '300ms' },
        rated: { ...open, urls: house.origin, path: '/api/rated', rate: '2/h' },
        dead: { ...open, urls: await deadOrigin() },
        sockets: { ...open, urls: sockets.origin, path: '/api/sockets' },
        closed: { urls: house.origin, path: '/api/closed', openapi: false },
      },
    },
    env: { BODY_LIMIT: '10kb', CORS_ORIGINS: 'https://app.example' },
  })
  const before = sum((await scrape(url)).text, 'http_server_requests_total')
  const linesBefore = access.length

  const sent: Sent = {}
  const one = (kind: string) => {
    sent[kind] = (sent[kind] ?? 0) + 1
  }
  const ask = async (path: string, status: number, options: Parameters<typeof request>[1] = {}) => {
    one(String(status))
    t.is((await request(`${url}${path}`, options)).status, status, path)
  }
  const raw = async (text: string, ...statuses: number[]) => {
    for (const status of statuses) one(String(status))
    const client = await rawClient(t, port)
    client.send(text)
    const { text: reply } = await client.ended()
    const answered = [...reply.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))
    t.deepEqual(answered, statuses, text.slice(0, 40))
  }
  const aborted = async (path: string, whenSent: Promise<unknown>) => {
    one('499')
    const gone = new AbortController()
    const reply = fetch(`${url}${path}`, { signal: gone.signal }).then((it) => it.text())
    await whenSent
    gone.abort()
    await t.throwsAsync(reply)
  }

  const host = 'Host: a\r\n'
  const work = Array.from({ length: 5 }, () => [
    ask('/api/house/a', 200),
    ask('/api/house/a', 200, { method: 'HEAD' }),
    ask('/api/house/a', 200, { method: 'POST', body: 'x' }),
    ask('/api/house/a', 200, { method: 'MKCOL' }),
    ask('/api/house/a', 413, { method: 'POST', body: 'x'.repeat(20_000) }),
    ask('/api/house/reset', 502, { method: 'POST', body: 'x' }),
    ask('/api/slow/silent', 504),
    ask('/api/dead', 502),
    ask('/api/closed', 401),
    ask('/nowhere', 404),
    ask('/nowhere', 204, {
      method: 'OPTIONS',
      headers: { Origin: 'https://app.example', 'Access-Control-Request-Method': 'GET' },
    }),
    ask('/openapi', 200),
    ask('/docs', 200, { method: 'HEAD' }),
    raw(`GET /api/%2e%2e/x HTTP/1.1\r\n${host}Connection: close\r\n\r\n`, 400),
    raw('GET / HTTP/9.9\r\n\r\n', 400),
    raw(`CONNECT a:1 HTTP/1.1\r\n${host}\r\n`, 405),
    raw(`GET / HTTP/1.1\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, 431),
    raw('GET /livez HTTP/1.1\r\n\r\n', 400),
    // Pipelined: two that are answered, and one that cannot be parsed.
    raw(
      `GET /api/house/1 HTTP/1.1\r\n${host}\r\nGET /openapi HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
      200,
      200,
    ),
    openWebSocket(t, `${url}/api/sockets`).then((socket) => {
      one('101')
      socket.close()
    }),
    openWebSocket(t, `${url}/api/house/a`).then(
      () => t.fail('no WebSocket is spoken there'),
      (error: DeclinedError) => {
        t.true(error instanceof DeclinedError)
        one(String(error.response.statusCode))
      },
    ),
    openWebSocket(t, `${url}/nowhere`).catch(() => one('404')),
    openWebSocket(t, `${url}/api/closed`).catch(() => one('401')),
  ])
  await Promise.all(work.flat())
  for (const status of [200, 200, 429, 429]) await ask('/api/rated', status)
  // Broken off: the status line was out already.
  one('200')
  await t.throwsAsync(request(`${url}/api/house/half`))
  await aborted(
    '/api/house/endless',
    until(() => arrived.has('/endless'), 'it is at the house'),
  )
  // Nobody waits for the rest of a body whose sender has left.
  one('left')
  const half = await rawClient(t, port)
  half.send(`POST /api/house/left HTTP/1.1\r\n${host}Content-Length: 1000\r\n\r\nhalf`)
  await until(() => arrived.has('/left'), 'it is at the house')
  half.socket.destroy()

  const expected = Object.values(sent).reduce((total, times) => total + times, 0)
  await until(() => access.length - linesBefore >= expected, 'every request has its line')
  const after = await scrape(url)
  t.is(access.length - linesBefore, expected, 'lines; scrapes that are answered have none')
  // The first scrape is counted by now; the last one is not yet.
  t.is(sum(after.text, 'http_server_requests_total') - before - 1, expected, 'counted')
  t.is(sum(after.text, 'http_server_request_duration_seconds_count') - before - 1, expected - sent['101']!)
  t.is(after.value('http_server_active_requests'), 1, 'the scrape itself')

  const byStatus = (status: string) =>
    access.slice(linesBefore).filter((entry) => String(entry.status) === status).length
  for (const [status, times] of Object.entries(sent)) {
    if (status !== 'left' && status !== '499') t.is(byStatus(status), times, status)
  }
  t.is(byStatus('499'), sent['499']! + sent.left!)

  // A line's route and status are the counter's, which knows of the first scrape as well.
  const lineCounts = new Map([['/metrics 200', 1]])
  for (const { route, status } of access) {
    const key = `${route} ${status}`
    lineCounts.set(key, (lineCounts.get(key) ?? 0) + 1)
  }
  const counted = new Map<string, number>()
  for (const [, status, route, value] of after.text.matchAll(
    /^http_server_requests_total\{.*response_status_code="(.*?)",http_route="(.*?)".*\} (\d+)$/gm,
  )) {
    const key = `${route} ${status}`
    counted.set(key, (counted.get(key) ?? 0) + Number(value))
  }
  t.deepEqual(Object.fromEntries([...counted].sort()), Object.fromEntries([...lineCounts].sort()))

  // Each series' buckets only grow, and end in its count.
  const series = new Map<string, number[]>()
  for (const [, labels, value] of after.text.matchAll(
    /^http_server_request_duration_seconds_bucket\{(.*),le=".*?"\} (\d+)$/gm,
  )) {
    series.set(labels!, [...(series.get(labels!) ?? []), Number(value)])
  }
  t.true(series.size > 5)
  for (const [labels, buckets] of series) {
    t.deepEqual(
      buckets,
      [...buckets].sort((a, b) => a - b),
    )
    t.is(buckets.at(-1), after.value(`http_server_request_duration_seconds_count{${labels}}`))
  }
})
