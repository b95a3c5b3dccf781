import test from 'ava'
import { requestId } from '../../src/door/request-id.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { httpUpstream } from '../support/upstream.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test("a caller's well-formed id is adopted, in whatever case its header is written", (t) => {
  const id = '01JC8ZK5M6N7P8Q9R0S1T2V3W4'
  t.is(requestId(['Accept', '*/*', 'X-Request-Id', id]), id)
  t.is(requestId(['x-request-id', id]), id)
  t.is(requestId(['X-REQUEST-ID', id]), id)
})

test('without an id a new one is minted each time', (t) => {
  const [first, second] = [requestId([]), requestId([])]
  t.regex(first, uuid)
  t.not(first, second)
})

for (const [what, value] of Object.entries({
  'an empty id': '',
  'an id too short to be unique': 'abc',
  'an id longer than 128 characters': 'a'.repeat(129),
  'an id with a space': 'abcdefgh ijkl',
  'an id with a quotation mark': 'abcdefgh"ijkl',
  'an id with a line break': 'abcdefgh\r\nX-User-Id: admin',
  'an id with an escape sequence': 'abcdefgh\x1b[31m',
  'an id with an underscore in front': '_abcdefgh',
  'an id with non-ASCII characters': 'abcdefgh\xe9',
  'two ids in one header': 'abcdefgh-1, abcdefgh-2',
})) {
  test(`${what} is replaced`, (t) => {
    t.regex(requestId(['X-Request-Id', value]), uuid)
  })
}

test('the house, the reply and the log are told the same id, and only once', async (t) => {
  const received: string[][] = []
  const house = await httpUpstream(t, (request, response) => {
    received.push(request.rawHeaders)
    response.setHeader('X-Request-Id', 'of-the-house')
    response.end('ok')
  })
  const { port, access } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(
    'GET /api/house HTTP/1.1\r\nHost: a\r\nX-Request-Id: callers-own-id\r\nx_request_id: spoofed-id\r\nConnection: close\r\n\r\n',
  )
  const { text } = await client.ended()
  t.deepEqual(text.match(/^x-request-id: .*$/gim), ['x-request-id: callers-own-id'])
  const pairs = received[0]!.flatMap((name, i, all) =>
    i % 2 === 0 ? [[name.toLowerCase(), all[i + 1]]] : [],
  )
  t.deepEqual(
    pairs.filter(([name]) => /^x[-_]request[-_]id$/.test(name!)),
    [['x-request-id', 'callers-own-id']],
  )
  t.is(access[0]?.requestId, 'callers-own-id')
})
