import type { ExecutionContext } from 'ava'
import { startLiveGateway } from './live-gateway.ts'
import { request } from './request.ts'
import { type Scraped, scrape } from './scrape.ts'
import { startScriptedProvider } from './scripted-provider.ts'
import { until } from './until.ts'

/** Everything that has labels has a value under it. */
const yaml = `services:
  house:
    { urls: "\${HOUSE_URL}", auth: none, openapi: false, concurrency: 1, mirror-to: copy, rate: 1000/min per address, cache: 30s }
  copy: { urls: "\${HOUSE_URL}", auth: none, openapi: false }
  dead: { urls: "http://127.0.0.1:1", auth: none, openapi: false }
`
const publicUrl = 'https://gateway.example.com'
const clientSecret = 'the-secret-of-the-house'
const asClient = { authorization: `Basic ${Buffer.from(`house:${clientSecret}`).toString('base64')}` }

/** What a gateway with everything tells Prometheus once everything has happened that is told of. */
export async function scrapeEventfulGateway(t: ExecutionContext, databaseUrl: string): Promise<Scraped> {
  const provider = await startScriptedProvider(t)
  const { url } = await startLiveGateway(t, yaml, {
    ...provider.env,
    DISCOVERY: 'static,dns',
    DATABASE_URL: databaseUrl,
    ENCRYPTION_KEYS: `test:${Buffer.alloc(32, 1).toString('base64')}`,
    GATEWAY_CLIENTS: `house:${clientSecret}`,
    PUBLIC_URL: publicUrl,
    // Nobody listens there: spans that cannot be told are counted too.
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
  })
  let last = ''
  const isReady = async () => {
    const { status, body } = await request(`${url}/readyz`)
    last = body
    return status === 200
  }
  await until(isReady, 'it is ready', () => last)
  await request(`${url}/api/house`)
  await request(`${url}/api/dead`)
  await refreshAToken(url, provider.code().code)
  await comeBackFromALogin(url)
  await until(async () => {
    const { labels } = await scrape(url)
    return (
      labels.has('nodejs_gc_duration_seconds_count') && labels.has('munjigi_discovery_source_age_seconds')
    )
  }, 'everything has happened that is to be told')
  return scrape(url)
}

async function refreshAToken(url: string, code: string): Promise<void> {
  const headers = { ...asClient, 'content-type': 'application/json' }
  const body = JSON.stringify({ provider: 'kakao', code, subject: 'user-1' })
  const connected = await request(`${url}/oauth`, { method: 'POST', headers, body })
  const { id } = JSON.parse(connected.body) as { id: string }
  const renewed = await request(`${url}/oauth/${id}/refresh`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ subject: 'user-1' }),
  })
  if (renewed.status !== 200) throw new Error(`refresh: ${renewed.status}: ${renewed.body}`)
}

async function comeBackFromALogin(url: string): Promise<void> {
  const host = new URL(publicUrl).host
  const begun = await request(`${url}/oauth/kakao/login`, { headers: { host } })
  const state = new URL(begun.headers.location ?? '').searchParams.get('state')
  const [cookie = ''] = begun.headers['set-cookie']?.[0]?.split(';') ?? []
  const back = `${url}/oauth/kakao/callback?state=${state}&error=access_denied`
  await request(back, { headers: { host, cookie } })
}
