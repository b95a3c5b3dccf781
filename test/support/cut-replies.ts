import type { Socket } from 'node:net'

/** Replies that are not whole yet. */
export const cutReplies = {
  'a reply with Content-Length': 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst half',
  'a reply with Content-Length and Connection: close':
    'HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nfirst half',
  'a chunked reply': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nfirst half\r\n',
  'a chunked reply with Connection: close':
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\na\r\nfirst half\r\n',
  'a chunked reply in mid-chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nfirst half',
  'a chunked reply in the size of a chunk':
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nfirst half\r\n6',
  'a chunked reply in its last chunk':
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nfirst half\r\n0\r\n',
  'a chunked reply in a trailer':
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nfirst half\r\n0\r\nX-Sum: 1',
} as const

/** How a house breaks off. */
export const endings = {
  reset: (socket: Socket) => void socket.resetAndDestroy(),
  FIN: (socket: Socket) => void socket.end(),
}
