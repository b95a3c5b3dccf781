import type { RawClient } from './raw-client.ts'
import { handshake } from './websocket.ts'

/** Names that only the gateway may speak under, and the ways to write them that some server or other takes for them. */
export const gatewayNames = {
  names: [
    'X-User-Id',
    'X-User-Scope',
    'X-User-Issuer',
    'X-User-Anything',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'X-Forwarded-Port',
    'X-Forwarded-Prefix',
    'X-Forwarded-Server',
    'Forwarded',
    'X-Real-IP',
    'X-Request-Id',
    'X-Request-Timeout-Ms',
    'X-Mirrored',
    'X-Provider-Token',
  ],
  spellings: [
    (name: string) => name,
    (name: string) => name.toLowerCase(),
    (name: string) => name.toUpperCase(),
    // Every character that a name may have besides letters and digits (RFC 9110 §5.6.2).
    ...[..."_.!#$%&'*+^`|~"].flatMap((character) => [
      (name: string) => name.replaceAll('-', character),
      (name: string) => name.toLowerCase().replace('-', character),
    ]),
  ],
} as const

const line = 'GET /api/house HTTP/1.1\r\nHost: gateway\r\n'
const upload = 'POST /api/house HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n'
const head = (lines: readonly string[]) => `${lines.join('\r\n')}\r\n\r\n`
const last = 'Connection: close'

/** How such headers may be sent; each of them ends with the connection. */
export const ways: Readonly<
  Record<
    string,
    (client: RawClient, lines: readonly string[], names: readonly string[]) => void | Promise<void>
  >
> = {
  'as they are': (client, lines) => client.send(line + head([...lines, last])),
  'twice each': (client, lines) => client.send(line + head([...lines, ...lines.slice(1), last])),
  'in HTTP/1.0': (client, lines) =>
    client.send(`GET /api/house HTTP/1.0\r\nHost: gateway\r\n${head([...lines])}`),
  'in front of Host': (client, lines) =>
    client.send(`GET /api/house HTTP/1.1\r\n${head([...lines, 'Host: gateway', last])}`),
  'to another Host, in absolute form': (client, lines) =>
    client.send(`GET http://gateway/api/house HTTP/1.1\r\nHost: elsewhere\r\n${head([...lines, last])}`),
  'with an expectation': (client, lines) => client.send(line + head([...lines, 'Expect: spoofed', last])),
  'named by Connection': (client, lines, names) =>
    client.send(line + head([`Connection: close, ${names.join(', ')}`, ...lines])),
  'named by Connection in capitals, in headers of their own': (client, lines, names) =>
    client.send(
      line + head([...lines, ...names.map((name) => `CONNECTION: ${name.toUpperCase()}, keep-alive`), last]),
    ),
  async 'behind a 100 Continue'(client, lines) {
    client.send(upload + head([...lines, 'Expect: 100-continue', last]))
    await client.receive('100 Continue')
    client.send('4\r\nbody\r\n0\r\n\r\n')
  },
  'in a trailer': (client, [authorization = '', ...lines]) =>
    client.send(
      `${upload}${head([authorization, 'Trailer: X-User-Id', last])}4\r\nbody\r\n0\r\n${head(lines)}`,
    ),
  'in a pipelined request': (client, lines) =>
    client.send(line + head([lines[0]!]) + line + head([...lines, last])),
  'in the handshake of a WebSocket': (client, lines) =>
    client.send(handshake('/api/house', lines).replace('Host: gateway', 'host:gateway')),
}
