import http from 'node:http'
import { pipeline } from 'node:stream/promises'
import test from 'ava'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { httpUpstream } from '../support/upstream.ts'

const megabyte = 1024 * 1024
/** `BIG_BODY_MB=1024` for the whole gigabyte. */
const size = Number(process.env.BIG_BODY_MB ?? 256) * megabyte
const mostGrowth = 64

function* bytes(length: number): Iterable<Buffer> {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  for (let left = length; left > 0; left -= chunk.length) yield chunk.subarray(0, left)
}

async function count(stream: AsyncIterable<Buffer>): Promise<number> {
  let total = 0
  for await (const chunk of stream) total += chunk.length
  return total
}

function send(url: string, length: number, headers: http.OutgoingHttpHeaders): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: length > 0 ? 'POST' : 'GET', headers, agent: false })
    request.on('error', reject)
    request.on('response', (response) => {
      if (length > 0) response.toArray().then((parts) => resolve(Buffer.concat(parts).toString()), reject)
      else count(response).then((total) => resolve(String(total)), reject)
    })
    pipeline(bytes(length), request).catch(reject)
  })
}

/** How much more memory the gateway needs for the big body than for one that is worth a few collections of garbage. */
async function growth(gateway: GatewayProcess, run: (size: number) => Promise<string>) {
  await run(96 * megabyte)
  const before = await gateway.peakMemory()
  const result = await run(size)
  return { result, megabytes: (await gateway.peakMemory()) - before }
}

for (const framing of ['a length', 'chunks'] as const) {
  test.serial(`a big upload with ${framing} passes through without being kept in memory`, async (t) => {
    const house = await httpUpstream(t, async (incoming, response) =>
      response.end(String(await count(incoming))),
    )
    const gateway = await startGatewayProcess(t, house.origin)
    const { result, megabytes } = await growth(gateway, (length) =>
      send(`${gateway.url}/api/house`, length, framing === 'chunks' ? {} : { 'content-length': length }),
    )
    t.log(`${size / megabyte} MB: memory grew by ${megabytes.toFixed(1)} MB`)
    t.is(result, String(size))
    t.true(megabytes < mostGrowth, `it grew by ${megabytes} MB`)
  })

  test.serial(`a big download with ${framing} passes through without being kept in memory`, async (t) => {
    const house = await httpUpstream(t, (incoming, response) => {
      const length = Number(incoming.url!.slice(1))
      if (framing === 'a length') response.setHeader('content-length', length)
      pipeline(bytes(length), response).catch(() => {})
    })
    const gateway = await startGatewayProcess(t, house.origin)
    const { result, megabytes } = await growth(gateway, (length) =>
      send(`${gateway.url}/api/house/${length}`, 0, {}),
    )
    t.log(`${size / megabyte} MB: memory grew by ${megabytes.toFixed(1)} MB`)
    t.is(result, String(size))
    t.true(megabytes < mostGrowth, `it grew by ${megabytes} MB`)
  })
}
