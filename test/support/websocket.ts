import { once } from 'node:events'
import type http from 'node:http'
import type { ExecutionContext } from 'ava'
import { type ServerOptions, WebSocket, WebSocketServer } from 'ws'
import { httpUpstream, type TestUpstream } from './upstream.ts'

export interface WebSocketHouse extends TestUpstream {
  /** Every WebSocket that was opened, with its handshake. */
  readonly opened: readonly { readonly socket: WebSocket; readonly handshake: http.IncomingMessage }[]
}

/** A house that speaks WebSocket through the `ws` package; what it is sent it sends back, unless told otherwise. */
export async function webSocketHouse(
  t: ExecutionContext,
  options: ServerOptions = {},
  onOpen: (socket: WebSocket) => void = (socket) =>
    void socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })),
): Promise<WebSocketHouse> {
  const opened: { socket: WebSocket; handshake: http.IncomingMessage }[] = []
  const house = await httpUpstream(t, (_request, response) => response.writeHead(404).end())
  const webSockets = new WebSocketServer({ ...options, server: house.server })
  webSockets.on('connection', (socket, handshake) => {
    socket.on('error', () => {})
    opened.push({ socket, handshake })
    onOpen(socket)
  })
  return Object.assign(house, { opened })
}

/** A client that speaks WebSocket; rejects with the reply where the handshake was declined. */
export async function openWebSocket(
  t: ExecutionContext,
  url: string,
  { protocols = [], headers = {}, compress = false }: OpenOptions = {},
): Promise<WebSocket> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), [...protocols], {
    headers,
    perMessageDeflate: compress,
  })
  t.teardown(() => socket.terminate())
  socket.on('error', () => {})
  await Promise.race([
    once(socket, 'open'),
    once(socket, 'unexpected-response').then(([, response]) => {
      throw new DeclinedError(response as http.IncomingMessage)
    }),
  ])
  return socket
}

export interface OpenOptions {
  readonly protocols?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  readonly compress?: boolean
}

export class DeclinedError extends Error {
  readonly response: http.IncomingMessage

  constructor(response: http.IncomingMessage) {
    super(`declined with ${response.statusCode}`)
    this.response = response
  }
}

/** The next message, as text. */
export async function nextMessage(socket: WebSocket): Promise<string> {
  const [data] = (await once(socket, 'message')) as [Buffer]
  return data.toString()
}

/** A handshake as it stands on the wire. */
export function handshake(path: string, more: readonly string[] = []): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    'Host: gateway',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...more,
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** What a house on a bare socket answers to it. */
export const accepted =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'
