import test from 'ava'
import { startGateway } from '../support/gateway.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream } from '../support/upstream.ts'

const document = {
  openapi: '3.0.3',
  info: { title: 'House' },
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
  await until(async () => JSON.stringify(await load()).includes('ECONNREFUSED'), 'both have been asked')
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
  const again = await request(`${url}/openapi.json`, { headers: { 'If-None-Match': etag! } })
  t.is(again.status, 304)
  t.is(again.body, '')
})
