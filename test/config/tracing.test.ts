import test from 'ava'
import { faultLines, load } from '../support/config.ts'

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }

const switches: readonly (readonly [env: Record<string, string>, url: string | undefined])[] = [
  [{}, undefined],
  [{ OTEL_SERVICE_NAME: 'door', OTEL_TRACES_SAMPLER: 'always_on' }, undefined],
  [endpoint, 'http://collector:4318/v1/traces'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector/otlp/' }, 'https://collector/otlp/v1/traces'],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector/own' }, 'http://collector/own'],
  [{ OTEL_TRACES_EXPORTER: 'otlp' }, 'http://localhost:4318/v1/traces'],
  [{ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }, undefined],
  [{ ...endpoint, OTEL_SDK_DISABLED: 'true' }, undefined],
  [{ ...endpoint, OTEL_SDK_DISABLED: 'false' }, 'http://collector:4318/v1/traces'],
]
for (const [env, url] of switches) {
  const said = Object.entries(env).map((pair) => pair.join('='))
  test(`${said.join(' ') || 'nothing'}: traces ${url === undefined ? 'are off' : `go to ${url}`}`, (t) => {
    t.is(load(t, { env }).tracing?.url, url)
  })
}

test('what nobody says of traces is as OpenTelemetry has it', (t) => {
  t.deepEqual(load(t, { env: endpoint }).tracing, {
    url: 'http://collector:4318/v1/traces',
    headers: {},
    timeoutMs: 10_000,
    compression: 'none',
    serviceName: 'munjigi',
    resource: {},
    sampler: { name: 'parentbased_always_on', ratio: 1 },
    batch: { delayMs: 5000, timeoutMs: 30_000, queueSize: 2048, batchSize: 512 },
  })
})

test('what is said of traces wins over what is said of all', (t) => {
  const { tracing } = load(t, {
    env: {
      ...endpoint,
      OTEL_EXPORTER_OTLP_TIMEOUT: '1000',
      OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '2000',
      OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_HEADERS: 'a=1,b=2',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'b=3',
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=named',
      OTEL_TRACES_SAMPLER: 'traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
    },
  })
  t.like(tracing, {
    timeoutMs: 2000,
    compression: 'gzip',
    headers: { a: '1', b: '3' },
    serviceName: 'named',
    sampler: { name: 'traceidratio', ratio: 0.25 },
  })
})

const bad: Readonly<Record<string, readonly string[]>> = {
  OTEL_EXPORTER_OTLP_ENDPOINT: ['collector:4318', 'grpc://collector', 'http://collector?x=1', 'http://'],
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: ['collector:4318'],
  OTEL_TRACES_EXPORTER: ['zipkin', 'console', 'otlp,console'],
  OTEL_SDK_DISABLED: ['maybe'],
  OTEL_EXPORTER_OTLP_PROTOCOL: ['grpc', 'http/json'],
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: ['grpc'],
  OTEL_EXPORTER_OTLP_HEADERS: ['no-value', 'a b=1', 'a=%zz', '=1', 'a=%0d%0ab'],
  OTEL_EXPORTER_OTLP_TIMEOUT: ['0', '-1', '10s', '1e3', '9999999'],
  OTEL_EXPORTER_OTLP_COMPRESSION: ['zstd'],
  OTEL_RESOURCE_ATTRIBUTES: ['team', 'team=%'],
  OTEL_TRACES_SAMPLER: ['sometimes', 'jaeger_remote'],
  OTEL_TRACES_SAMPLER_ARG: ['1.5', '-1', 'half', '10%'],
  OTEL_BSP_SCHEDULE_DELAY: ['0', '5s'],
  OTEL_BSP_EXPORT_TIMEOUT: ['0'],
  OTEL_BSP_MAX_QUEUE_SIZE: ['0', '1e9', '1000001'],
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: ['0', '4096'],
}
for (const [name, values] of Object.entries(bad)) {
  test(`${name}: what cannot be used stops the start, by its name`, (t) => {
    for (const value of values) {
      const faults = faultLines(t, { env: { ...endpoint, [name]: value } })
      t.is(faults.length, 1, value)
      t.true(faults[0]?.startsWith(`${name}: found `), faults[0])
      if (name.includes('HEADERS')) t.false(faults[0]?.includes(value), 'it may be a secret')
    }
  })
}
