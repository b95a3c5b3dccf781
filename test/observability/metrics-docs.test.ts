import { readFileSync } from 'node:fs'
import { platform } from 'node:process'
import test, { type ExecutionContext } from 'ava'
import { startLiveGateway } from '../support/live-gateway.ts'
import { request } from '../support/request.ts'
import { type Scraped, scrape } from '../support/scrape.ts'
import { until } from '../support/until.ts'

/** Everything that has labels has a value under it. */
const yaml = `services:
  house:
    { urls: "\${HOUSE_URL}", auth: none, openapi: false, concurrency: 1, mirror-to: copy }
  copy: { urls: "\${HOUSE_URL}", auth: none, openapi: false }
`

/** What docs/metrics.md says: name → type and labels. */
function documented(): Map<string, string> {
  const lines = readFileSync('docs/metrics.md', 'utf8').matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*)\|/gm)
  return new Map([...lines].map(([, name, type, labels]) => [name!, told(type, labels?.match(/\w+/g) ?? [])]))
}

const told = (type: string | undefined, labels: readonly string[]) =>
  [type, ...labels.filter((name) => name !== 'le').toSorted()].join(' ')

async function scraped(t: ExecutionContext): Promise<Scraped> {
  const { url } = await startLiveGateway(t, yaml, { DISCOVERY: 'static,dns', DATABASE_URL: 'none' })
  await request(`${url}/api/house`)
  await until(async () => {
    const { labels } = await scrape(url)
    return (
      labels.has('nodejs_gc_duration_seconds_count') && labels.has('munjigi_discovery_source_age_seconds')
    )
  }, 'everything has happened that is to be told')
  return scrape(url)
}

/** No request to libuv at the moment, nothing collected yet. */
const mayBeNone = new Set(['nodejs_active_requests', 'nodejs_gc_duration_seconds'])

/** Elsewhere the process can be asked for less. */
const everywhere = (name: string) => platform === 'linux' || name.startsWith('munjigi_')

test('docs/metrics.md and a scrape have the same metrics, of the same types, with the same labels', async (t) => {
  const { types, labels } = await scraped(t)
  const docs = documented()
  t.deepEqual(
    [...types.keys()].filter((name) => !docs.has(name)),
    [],
    'not documented',
  )
  t.deepEqual(
    [...docs.keys()].filter((name) => everywhere(name) && !types.has(name)),
    [],
    'not scraped',
  )
  for (const [name, type] of types) {
    const names = labels.get(name) ?? labels.get(`${name}_count`)
    if (names === undefined && mayBeNone.has(name)) continue
    t.is(told(type, names ?? []), docs.get(name)!, name)
  }
})
