import { randomUUID } from 'node:crypto'
import { createNoopMeter, type Tracer } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import {
  ATTR_ERROR_TYPE,
  ATTR_SERVICE_INSTANCE_ID,
  ATTR_SERVICE_NAME,
  ATTR_SERVICE_VERSION,
} from '@opentelemetry/semantic-conventions'
import type { TracingConfig } from '../config/config.ts'
import type { SpanCounts } from './tracing.ts'

/** The SDK, put together for one gateway. */
export interface SpanExport {
  readonly tracer: Tracer
  /** Sends what waits. Resolves when it is sent or given up. */
  shutdown(): Promise<void>
}

export interface SpanExportOptions {
  readonly config: TracingConfig
  readonly version: string
  /** Whether other processes of this gateway have the same settings. */
  readonly isOneOfSeveral: boolean
  readonly counts: SpanCounts
  /** A batch was sent; or it was given up, for this reason. */
  readonly onBatch: (error: Error | undefined) => void
}

/** Batches in the background: spans wait in a queue of bounded length, and what does not fit is dropped and counted. */
export function createSpanExport(options: SpanExportOptions): SpanExport {
  const { config, version, counts, onBatch } = options
  const { url, headers, timeoutMs, compression, batch } = config
  const exporter = new OTLPTraceExporter({
    ...{ url, timeoutMillis: timeoutMs },
    headers: { ...headers },
    // The SDK's names of these are an enum of its own.
    compression: compression as never,
    // At the end all that waits is sent at once.
    concurrencyLimit: Math.ceil(batch.queueSize / batch.batchSize) + 1,
    userAgent: `munjigi/${version}`,
  })
  const processor = new BatchSpanProcessor({
    exporter: observed(exporter, onBatch),
    maxQueueSize: batch.queueSize,
    maxExportBatchSize: batch.batchSize,
    scheduledDelayMillis: batch.delayMs,
    exportTimeoutMillis: batch.timeoutMs,
    selfObsMeterProvider: { getMeter: () => countingMeter(counts) },
  })
  const provider = new TracerProvider({
    resource: resourceOf(options),
    sampler: samplerOf(config.sampler),
    spanProcessors: [processor],
  })
  return { tracer: provider.getTracer('munjigi', version), shutdown: () => provider.shutdown() }
}

function observed(exporter: OTLPTraceExporter, onBatch: (error: Error | undefined) => void): SpanExporter {
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        onBatch(result.code === 0 ? undefined : (result.error ?? new Error('not accepted')))
        done(result)
      }),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  }
}

/** What the processor counts is told by a meter and in no other way: of this one the only counter that is asked for. */
function countingMeter(counts: SpanCounts) {
  const meter = createNoopMeter()
  const createCounter: typeof meter.createCounter = (name, options) => {
    if (name !== 'otel.sdk.processor.span.processed') return meter.createCounter(name, options)
    return {
      add(spans, attributes) {
        const error = attributes?.[ATTR_ERROR_TYPE]
        if (error === undefined) counts.exported += spans
        else if (error === 'queue_full') counts.dropped += spans
        else counts.failed += spans
      },
    }
  }
  return Object.assign(Object.create(meter) as typeof meter, { createCounter })
}

function resourceOf({ config, version, isOneOfSeveral }: SpanExportOptions): Resource {
  const { [ATTR_SERVICE_INSTANCE_ID]: given } = config.resource
  const own = given === undefined ? randomUUID() : isOneOfSeveral ? `${given}-${process.pid}` : given
  return defaultResource().merge(
    resourceFromAttributes({
      [ATTR_SERVICE_VERSION]: version,
      ...config.resource,
      [ATTR_SERVICE_NAME]: config.serviceName,
      [ATTR_SERVICE_INSTANCE_ID]: own,
    }),
  )
}

/** The SDK reads no environment for this one. */
function samplerOf({ name, ratio }: TracingConfig['sampler']): Sampler {
  const roots = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
  }
  const isParentBased = name.startsWith('parentbased_')
  const root = roots[name.replace('parentbased_', '') as keyof typeof roots]()
  return isParentBased ? new ParentBasedSampler({ root }) : root
}
