import test from 'ava'
import { startCollector } from '../support/collector.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { request } from '../support/request.ts'
import { httpUpstream } from '../support/upstream.ts'

/** Prints each module of OpenTelemetry's that the process loads. */
const watchModules = `data:text/javascript,${encodeURIComponent(`
import { registerHooks } from 'node:module'
registerHooks({
  load(url, context, next) {
    const name = /@opentelemetry\\/([^/]+)/.exec(url)?.[1]
    if (name) process.stderr.write('loads ' + name + '\\n')
    return next(url, context)
  },
})`)}`

/** Of what prom-client has of it for itself: a few types and nothing that runs. */
const ofOthers = /^loads api$/

async function loaded(t: Parameters<typeof startGatewayProcess>[0], env: Record<string, string>) {
  const house = await httpUpstream(t, (_incoming, response) => response.end('house'))
  const gateway = await startGatewayProcess(t, house.origin, { DATABASE_URL: 'none', ...env }, [
    '--import',
    watchModules,
  ])
  await request(`${gateway.url}/api/house`)
  const lines = gateway.process.output().split('\n')
  return new Set(lines.filter((line) => line.startsWith('loads ') && !ofOthers.test(line)))
}

test('with traces off not one module of the SDK is loaded', async (t) => {
  t.deepEqual([...(await loaded(t, {}))], [])
})

test('with traces on they are', async (t) => {
  const { origin } = await startCollector(t)
  const modules = await loaded(t, { OTEL_EXPORTER_OTLP_ENDPOINT: origin })
  t.true(modules.has('loads sdk-trace') && modules.has('loads exporter-trace-otlp-proto'))
})

test('each worker tells its own spans, under an id of its own', async (t) => {
  const collector = await startCollector(t)
  const house = await httpUpstream(t, (_incoming, response) => response.end('house'))
  const gateway = await startGatewayProcess(t, house.origin, {
    DATABASE_URL: 'none',
    WORKERS: '2',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.origin,
    OTEL_BSP_SCHEDULE_DELAY: '5',
    OTEL_RESOURCE_ATTRIBUTES: 'service.instance.id=door-1',
  })
  const instances = () => new Set(collector.spans.map(({ resource }) => resource['service.instance.id']))
  // Each connection is the next worker's.
  for (let sent = 1; instances().size < 2; sent += 1) {
    await fetch(`${gateway.url}/api/house`, { headers: { connection: 'close' } })
    await collector.received(2 * sent)
  }
  for (const id of instances()) t.regex(String(id), /^door-1-\d+$/)
})
