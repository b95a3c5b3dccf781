import type { Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { cutReplies, endings } from '../support/cut-replies.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'
import { scriptedUpstream } from '../support/upstream.ts'

const closeDelimited = 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst half'

/** The house sends `reply`, and breaks off as told once its first bytes have come to the client. */
async function breakOff(
  t: ExecutionContext,
  reply: string,
  ending: (socket: Socket) => void,
  version: string,
) {
  let socket: Socket | undefined
  const house = await scriptedUpstream(t, (connection) => {
    socket = connection
    connection.write(reply)
  })
  const gateway = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, gateway.port)
  client.send(`GET /api/house HTTP/${version}\r\nHost: x\r\nConnection: close\r\n\r\n`)
  await client.receive('first half')
  ending(socket!)
  const end = await client.ended()
  await until(() => gateway.access.length === 1, 'it is in the log')
  return { ...end, body: end.text.slice(end.text.indexOf('\r\n\r\n') + 4), access: gateway.access[0]!, house }
}

test('a reply without a length is whole when the house closes', async (t) => {
  const { body, reset, access } = await breakOff(t, closeDelimited, endings.FIN, '1.1')
  t.is(body, 'a\r\nfirst half\r\n0\r\n\r\n')
  t.false(reset)
  t.is(access.errorCode, undefined)
})

test('a reply without a length that ends in a reset is cut off for the client', async (t) => {
  const { body, access } = await breakOff(t, closeDelimited, endings.reset, '1.1')
  t.is(body, 'a\r\nfirst half\r\n')
  t.is(access.errorCode, 'upstream_reset')
})

test('an HTTP/1.0 client, to which a close is a clean end, gets a reset where the reply is cut off', async (t) => {
  for (const reply of [cutReplies['a chunked reply'], cutReplies['a chunked reply in mid-chunk']]) {
    const { body, reset } = await breakOff(t, reply, endings.reset, '1.0')
    t.is(body, 'first half')
    t.true(reset)
  }
})

test('an HTTP/1.0 client gets a whole chunked reply without chunks and a clean end', async (t) => {
  const reply = `${cutReplies['a chunked reply']}0\r\n\r\n`
  const { body, reset } = await breakOff(t, reply, () => {}, '1.0')
  t.is(body, 'first half')
  t.false(reset)
})

test('a reply that is cut off does not hurt the request pipelined behind it', async (t) => {
  const house = await scriptedUpstream(t, (socket, head) => {
    if (!head.includes('/first')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond')
    else socket.write(cutReplies['a chunked reply'], () => socket.resetAndDestroy())
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(
    'GET /api/house/first HTTP/1.1\r\nHost: x\r\n\r\nGET /api/house/second HTTP/1.1\r\nHost: x\r\n\r\n',
  )
  const { text } = await client.ended()
  t.false(text.includes('second'), 'it could be taken for the rest of the first')
  t.true(text.endsWith('first half\r\n'))
})

test('a pipelined reply that is cut off before its turn ends the connection at its turn', async (t) => {
  let first: Socket | undefined
  const house = await scriptedUpstream(t, (socket, head) => {
    if (head.includes('/first')) first = socket
    else {
      socket.write(cutReplies['a chunked reply'], () => socket.resetAndDestroy())
      setTimeout(() => first?.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst'), 100)
    }
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(
    'GET /api/house/first HTTP/1.1\r\nHost: x\r\n\r\nGET /api/house/second HTTP/1.1\r\nHost: x\r\n\r\n',
  )
  const { text } = await client.ended()
  t.regex(text, /\r\n\r\nfirst/)
  t.false(text.includes('0\r\n\r\n'))
})
