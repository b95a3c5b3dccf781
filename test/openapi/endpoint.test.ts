import type { ExecutionContext } from 'ava'
import { calmTest as test } from '../support/calm.ts'
import { startGateway } from '../support/gateway.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream } from '../support/upstream.ts'

const document = {
  openapi: '3.0.3',
  info: { title: 'House', version: '1' },
  paths: { '/things': { get: { responses: {} } } },
}

test('/openapi.json is the gateway alone while a service is silent, and answers at once', async (t) => {
  const house = await httpUpstream(t, () => {})
  const { url } = await startGateway(t, {
    file: { services: { house: { urls: [house.origin], auth: 'none' } } },
  })
  const reply = await fetch(`${url}/openapi.json`)
  t.is(reply.headers.get('content-type'), 'application/json; charset=utf-8')
  const merged = (await reply.json()) as { paths: object }
  t.true('/livez' in merged.paths)
  t.like(merged, { 'x-munjigi-services': [{ name: 'house', status: 'waiting' }] })
})

test('/openapi.json shows a service that answers beside one that is down', async (t) => {
  const house = await httpUpstream(t, (_request, response) => {
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify(document))
  })
  const services = { house: { urls: [house.origin] }, ruin: { urls: [await deadOrigin()] } }
  const { url } = await startGateway(t, { file: { services } })
  const load = async () => (await fetch(`${url}/openapi.json`)).json() as Promise<Record<string, object>>
  const judged = async () => {
    const services = (await load())['x-munjigi-services'] as { status: string }[]
    return services.every(({ status }) => status !== 'waiting')
  }
  await until(judged, 'both have been asked')
  const merged = await load()
  t.true('/api/house/things' in merged.paths!)
  t.like(merged['x-munjigi-services'], [
    { name: 'house', status: 'ok' },
    { name: 'ruin', status: 'unavailable', reason: 'cannot be fetched (ECONNREFUSED)' },
  ])
})

test('/openapi.json is not sent again to somebody who has it', async (t) => {
  const { url } = await startGateway(t)
  const etag = (await fetch(`${url}/openapi.json`)).headers.get('etag')
  t.regex(etag ?? '', /^"[\w-]+"$/)
  // Not by fetch, which adds Cache-Control: no-cache.
  const headers = { 'If-None-Match': etag!, 'Accept-Encoding': 'gzip' }
  const again = await request(`${url}/openapi.json`, { headers })
  t.is(again.status, 304)
  t.is(again.body, '')
})

test('/openapi.json is compressed for those who take it, and has an ETag of its own then', async (t) => {
  const { url } = await startGateway(t)
  const plain = await request(`${url}/openapi.json`, { headers: { 'Accept-Encoding': 'identity' } })
  const packed = await fetch(`${url}/openapi.json`, { headers: { 'Accept-Encoding': 'gzip' } })
  t.is(packed.headers.get('content-encoding'), 'gzip')
  t.is(plain.headers['content-encoding'], undefined)
  for (const vary of [packed.headers.get('vary'), plain.headers.vary]) t.regex(vary ?? '', /Accept-Encoding/i)
  t.not(packed.headers.get('etag'), plain.headers.etag)
  t.is(await packed.text(), plain.body)
  // What was kept in one coding is no answer to who takes the other only.
  const other = await request(`${url}/openapi.json`, {
    headers: { 'If-None-Match': packed.headers.get('etag')!, 'Accept-Encoding': 'identity' },
  })
  t.is(other.status, 200)
})

test('HEAD of /openapi.json tells the size', async (t) => {
  const { url } = await startGateway(t)
  const headers = { 'Accept-Encoding': 'identity' }
  const { body } = await request(`${url}/openapi.json`, { headers })
  const head = await request(`${url}/openapi.json`, { method: 'HEAD', headers })
  t.is(head.headers['content-length'], String(Buffer.byteLength(body)))
  t.is(head.body, '')
})

async function startWithHouses(t: ExecutionContext, env: Readonly<Record<string, string>> = {}) {
  const house = await httpUpstream(t, (_request, response) => {
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify(document))
  })
  const broken = await httpUpstream(t, (_request, response) => void response.end('<html>'))
  const services = {
    house: { urls: [house.origin], auth: 'none' },
    broken: { urls: [broken.origin] },
    shy: { urls: [house.origin], openapi: false },
  }
  const gateway = await startGateway(t, { file: { services }, env })
  const prefix = env.ROUTE_PREFIX ?? ''
  const list = async () =>
    (await (await fetch(`${gateway.url}${prefix}/openapi`)).json()) as { services: Listed[] }
  await until(
    async () => (await list()).services.every(({ status }) => status !== 'waiting'),
    'all are judged',
  )
  return { ...gateway, list }
}

interface Listed {
  readonly name: string
  readonly status: string
  readonly age_seconds?: number
}

for (const prefix of ['', '/e']) {
  const where = prefix === '' ? '' : ` under ${prefix}`
  test(`/openapi/<service>.json is that service as the public sees it${where}`, async (t) => {
    const { url } = await startWithHouses(t, { ROUTE_PREFIX: prefix })
    const reply = await fetch(`${url}${prefix}/openapi/house.json`)
    t.is(reply.status, 200)
    const single = (await reply.json()) as { paths: object; info: object }
    t.deepEqual(Object.keys(single.paths), ['/api/house/things'])
    t.like(single.info, { title: 'House' })
    const again = await request(`${url}${prefix}/openapi/house.json`, {
      headers: { 'If-None-Match': reply.headers.get('etag')!, 'Accept-Encoding': 'gzip' },
    })
    t.is(again.status, 304)
  })
}

test('/openapi/<service>.json tells why there is none', async (t) => {
  const { url } = await startWithHouses(t)
  const ask = async (file: string) => {
    const reply = await fetch(`${url}/openapi/${file}`)
    return [reply.status, ((await reply.json()) as { detail: string }).detail]
  }
  t.deepEqual(await ask('nobody.json'), [404, 'No service of that name has a route.'])
  t.deepEqual(await ask('house'), [404, 'No service of that name has a route.'])
  t.deepEqual(await ask('shy.json'), [404, 'There is no document of shy: the service says that it has none.'])
  t.deepEqual(await ask('broken.json'), [
    503,
    'There is no document of broken: it came without a content type.',
  ])
})

test('/openapi lists every service, with the age of its document or why it has none', async (t) => {
  const { list } = await startWithHouses(t)
  const { services } = await list()
  t.like(services, [
    { name: 'broken', status: 'unavailable', reason: 'came without a content type' },
    { name: 'house', status: 'ok', url: '/openapi/house.json', converted_from: 'OpenAPI 3.0' },
    { name: 'shy', status: 'none' },
  ])
  t.true(services[1]!.age_seconds! >= 0)
})
