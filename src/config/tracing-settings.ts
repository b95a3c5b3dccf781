import { z } from 'zod'
import type { Setting } from './settings.ts'

const samplers = [
  ...['always_on', 'always_off', 'traceidratio'],
  ...['parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'],
] as const

const urlMessage = 'expected an http or https URL such as http://localhost:4318'
const url = z
  .string()
  .refine(
    (text) => /^https?:\/\/[^/?#\s]+/i.test(text) && URL.canParse(text) && !/[?#]/.test(text),
    urlMessage,
  )

const pairsMessage = 'expected name=value, separated by commas, values percent-encoded'
/** `a=1,b=%20` as the headers and attributes are written. */
const pairs = z.string().transform((text, context) => {
  const read: Record<string, string> = {}
  for (const item of text.split(',')) {
    if (item.trim() === '') continue
    const end = item.indexOf('=')
    try {
      const name = decodeURIComponent(item.slice(0, Math.max(end, 0)).trim())
      if (name === '') throw new Error('no name')
      read[name] = decodeURIComponent(item.slice(end + 1).trim())
    } catch {
      context.addIssue({ code: 'custom', message: pairsMessage })
      return z.NEVER
    }
  }
  return read as Readonly<Record<string, string>>
})

const headersMessage = `${pairsMessage}, such as authorization=Bearer%20abc`
const headers = pairs.refine(
  (read) =>
    Object.entries(read).every(
      ([name, value]) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && /^[\t\x20-\x7e]*$/.test(value),
    ),
  headersMessage,
)

const wholeNumber = (most: number, message: string) =>
  z
    .string()
    .regex(/^[1-9]\d{0,9}$/, message)
    .transform(Number)
    .refine((value) => value <= most, message)

const milliseconds = wholeNumber(600_000, 'expected whole milliseconds from 1 to 600000')
const spans = wholeNumber(1_000_000, 'expected a whole number of spans from 1 to 1000000')

const compression = z.enum(['gzip', 'none'], 'expected gzip or none')
const protocol = z.literal('http/protobuf', 'expected http/protobuf, which is what the gateway speaks')
const group = 'Traces'

/** OpenTelemetry's own names: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
export const tracingSettings = {
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    group,
    meaning:
      'a collector, /v1/traces is added: traces are on where this, the next or OTEL_TRACES_EXPORTER is set',
    schema: url,
    unset: 'traces are off',
  },
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
    group,
    meaning: 'the same for traces alone, and the whole URL',
    schema: url,
    unset: 'the one before',
  },
  OTEL_TRACES_EXPORTER: {
    group,
    meaning: 'otlp, or none for no traces',
    schema: z.enum(['otlp', 'none'], 'expected otlp or none'),
    unset: 'otlp where there is an endpoint',
  },
  OTEL_SDK_DISABLED: {
    group,
    meaning: 'true turns traces off',
    schema: z.stringbool({ truthy: ['true'], falsy: ['false'], error: 'expected true or false' }),
    default: 'false',
  },
  OTEL_SERVICE_NAME: {
    group,
    meaning: 'the name that the gateway has in traces',
    schema: z.string(),
    unset: 'service.name of OTEL_RESOURCE_ATTRIBUTES, or munjigi',
  },
  OTEL_RESOURCE_ATTRIBUTES: {
    group,
    meaning: 'what else is said of the gateway in traces, such as deployment.environment.name=staging',
    schema: pairs,
    unset: 'none',
  },
  OTEL_TRACES_SAMPLER: {
    group,
    meaning: samplers.join(', '),
    schema: z.enum(samplers, `expected ${samplers.join(', ')}`),
    default: 'parentbased_always_on',
  },
  OTEL_TRACES_SAMPLER_ARG: {
    group,
    meaning: 'the share of traces that are kept by traceidratio, from 0 to 1',
    schema: z
      .string()
      .regex(/^(?:0|1|0?\.\d+|[01]\.\d+)$/, 'expected a number from 0 to 1')
      .transform(Number)
      .refine((ratio) => ratio <= 1, 'expected a number from 0 to 1'),
    default: '1',
  },
  OTEL_EXPORTER_OTLP_HEADERS: {
    group,
    meaning: 'headers for the collector, such as authorization=Bearer%20abc',
    schema: headers,
    unset: 'none',
    secret: true,
  },
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: {
    group,
    meaning: 'the same for traces, beside those',
    schema: headers,
    unset: 'none',
    secret: true,
  },
  OTEL_EXPORTER_OTLP_PROTOCOL: {
    group,
    meaning: 'http/protobuf, the only one',
    schema: protocol,
    default: 'http/protobuf',
  },
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: {
    group,
    meaning: 'the same for traces',
    schema: protocol,
    unset: 'the one before',
  },
  OTEL_EXPORTER_OTLP_TIMEOUT: {
    group,
    meaning: 'how long the collector may take, in milliseconds',
    schema: milliseconds,
    default: '10000',
  },
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: {
    group,
    meaning: 'the same for traces',
    schema: milliseconds,
    unset: 'the one before',
  },
  OTEL_EXPORTER_OTLP_COMPRESSION: {
    group,
    meaning: 'gzip or none',
    schema: compression,
    default: 'none',
  },
  OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: {
    group,
    meaning: 'the same for traces',
    schema: compression,
    unset: 'the one before',
  },
  OTEL_BSP_SCHEDULE_DELAY: {
    group,
    meaning: 'how long spans wait for others before they are sent, in milliseconds',
    schema: milliseconds,
    default: '5000',
  },
  OTEL_BSP_EXPORT_TIMEOUT: {
    group,
    meaning: 'how long a batch may take with all its attempts, in milliseconds',
    schema: milliseconds,
    default: '30000',
  },
  OTEL_BSP_MAX_QUEUE_SIZE: {
    group,
    meaning: 'how many spans may wait; more are dropped, and counted',
    schema: spans,
    default: '2048',
  },
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: {
    group,
    meaning: 'how many are sent at a time, not more than may wait',
    schema: spans,
    default: '512',
  },
} as const satisfies Record<string, Setting>
