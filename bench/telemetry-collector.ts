import { createServer } from 'node:http'

/** An OTLP collector that takes everything and keeps nothing; says at /bytes how much it was sent. */
let bytes = 0
createServer((request, response) => {
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  request.on('end', () => response.end(request.url === '/bytes' ? String(bytes) : ''))
}).listen(Number(process.env.PORT), '127.0.0.1')
