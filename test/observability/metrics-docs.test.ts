import { readFileSync } from 'node:fs'
import { platform } from 'node:process'
import { postgresTest, sharedPostgres } from '../support/database.ts'
import { scrapeEventfulGateway } from '../support/eventful-gateway.ts'

const freshDatabase = sharedPostgres()

/** What docs/metrics.md says: name → type and labels. */
function documented(): Map<string, string> {
  const lines = readFileSync('docs/metrics.md', 'utf8').matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*)\|/gm)
  return new Map([...lines].map(([, name, type, labels]) => [name!, told(type, labels?.match(/\w+/g) ?? [])]))
}

const told = (type: string | undefined, labels: readonly string[]) =>
  [type, ...labels.filter((name) => name !== 'le').toSorted()].join(' ')

/** No request to libuv at the moment, nothing collected yet. */
const mayBeNone = new Set(['nodejs_active_requests', 'nodejs_gc_duration_seconds'])

/** Elsewhere the process can be asked for less. */
const everywhere = (name: string) => platform === 'linux' || /^(?:munjigi|http)_/.test(name)

postgresTest(
  'docs/metrics.md and a scrape have the same metrics, of the same types, with the same labels',
  async (t) => {
    const { types, labels } = await scrapeEventfulGateway(t, (await freshDatabase(t)).url)
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
  },
)
