import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import net from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { createStreams, type StreamsOptions } from '../../src/dashboard/streams.ts'
import { rawClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'

/** Streams over real connections. */
async function serve(t: ExecutionContext, options: StreamsOptions = {}) {
  const streams = createStreams(options)
  const replies: ServerResponse[] = []
  let admitted = true
  const admit = async () => {
    if (!admitted) throw new Error('not any more')
  }
  const { port } = await httpUpstream(t, (_request, reply) => {
    replies.push(reply)
    if (!streams.open(reply, admit)) reply.writeHead(429).end()
  })
  function refuse() {
    admitted = false
  }
  async function connect() {
    const client = await rawClient(t, port)
    const count = replies.length
    client.send('GET / HTTP/1.1\r\nHost: e\r\n\r\n')
    await until(() => replies.length > count, 'the request has come')
    return client
  }
  return { streams, replies, connect, port, refuse }
}

test('a new stream is told everything first, then what changes', async (t) => {
  const { streams, connect } = await serve(t)
  const client = await connect()
  await client.receive('retry: 1000')
  t.true(streams.needAll())
  streams.send('"change 1"', () => '"all 1"')
  t.false(streams.needAll())
  streams.send('"change 2"', undefined)
  const text = await client.receive('change 2')
  t.regex(text, /id: 1\nevent: snapshot\ndata: "all 1"\n\n[\s\S]*id: 2\nevent: change\ndata: "change 2"\n\n/)
  t.notRegex(text, /change 1/)
})

test('one that does not read is sent no more, and everything once it reads again', async (t) => {
  const { streams, replies, port } = await serve(t)
  const socket = net.connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.pause()
  socket.write('GET / HTTP/1.1\r\nHost: e\r\n\r\n')
  await until(() => replies.length > 0, 'the request has come')
  const [reply] = replies
  const large = JSON.stringify('x'.repeat(1_000_000))
  streams.send('', () => large)
  // Until the kernel takes no more.
  await until(() => {
    streams.send(large, () => large)
    return reply!.writableLength > 0
  }, 'it is behind')
  await until(() => {
    streams.send(large, () => large)
    return reply!.writableNeedDrain && !streams.needAll()
  }, 'it is known to be')
  const buffered = reply!.writableLength
  for (let i = 0; i < 20; i += 1) streams.send(large, () => large)
  t.is(reply!.writableLength, buffered)
  t.true(buffered < 2_100_000, `${buffered}`)

  let text = ''
  socket.on('data', (chunk) => {
    text = (text + chunk.toString()).slice(-200)
  })
  socket.resume()
  await until(() => streams.needAll(), 'it has read what it was sent')
  streams.send('"change"', () => '"everything"')
  await until(() => text.includes('event: snapshot\ndata: "everything"'), 'it is told everything')
})

test('one that reads nothing for a long time is ended', async (t) => {
  let now = 0
  const { streams, replies, port } = await serve(t, { patienceMs: 1000, now: () => now })
  const socket = net.connect(port, '127.0.0.1').on('error', () => {})
  t.teardown(() => socket.destroy())
  socket.pause()
  socket.write('GET / HTTP/1.1\r\nHost: e\r\n\r\n')
  await until(() => replies.length > 0, 'the request has come')
  const large = JSON.stringify('x'.repeat(1_000_000))
  await until(() => {
    streams.send(large, () => large)
    return replies[0]!.writableNeedDrain
  }, 'it is behind')
  streams.send(large, () => large)
  await streams.review()
  t.is(streams.count(), 1)
  now += 1001
  await streams.review()
  t.is(streams.count(), 0)
  t.true(replies[0]!.destroyed)
})

test('whose reader may not see it any more is ended, whole', async (t) => {
  const { streams, connect, refuse } = await serve(t)
  const client = await connect()
  await streams.review()
  t.is(streams.count(), 1)
  refuse()
  await streams.review()
  t.is(streams.count(), 0)
  await client.receive('\r\n0\r\n\r\n')
})

test('there are only so many, and a page that is closed makes room', async (t) => {
  const { streams, connect } = await serve(t, { most: 2 })
  const first = await connect()
  await connect()
  const third = await connect()
  t.regex(await third.receive('\r\n\r\n'), /^HTTP\/1\.1 429 /)
  first.socket.destroy()
  await until(() => streams.count() === 1, 'it is noticed')
  await (await connect()).receive('retry: 1000')
  t.is(streams.count(), 2)
})

test('whoever has left while it was asked whether he may see it takes nobody’s place', async (t) => {
  const streams = createStreams()
  const opened = Promise.withResolvers<boolean>()
  const { port } = await httpUpstream(t, (_request, reply) => {
    reply.once('close', () => opened.resolve(streams.open(reply, async () => {})))
  })
  const client = await rawClient(t, port)
  client.send('GET / HTTP/1.1\r\nHost: e\r\n\r\n')
  client.socket.destroy()
  await opened.promise
  t.is(streams.count(), 0)
})

test('all of them end together', async (t) => {
  const { streams, connect, replies } = await serve(t)
  const clients = [await connect(), await connect()]
  const closed = replies.map((reply) => once(reply, 'close'))
  streams.endAll()
  await Promise.all(closed)
  for (const client of clients) await client.receive('\r\n0\r\n\r\n')
  t.is(streams.count(), 0)
})
