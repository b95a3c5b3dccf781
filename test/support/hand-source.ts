import { EventEmitter, once } from 'node:events'
import { z } from 'zod'
import type { ConfiguredSource } from '../../src/config/config.ts'
import type { Publish, Service, SourceContext } from '../../src/discovery/source.ts'
import type { Log, LogFields } from '../../src/observability/log.ts'

/** A discovery source that does what the test says: a real one by the contract, with nothing behind it. */
export interface HandSource {
  readonly configured: ConfiguredSource
  /** How often it was started, and what it was given the last time. */
  readonly watches: readonly SourceContext[]
  /** Publishes as the current watch, or the last one if it is over. */
  publish(services: readonly Service[]): void
  /** The current watch ends: with an error it rejects, without one it returns. */
  end(error?: unknown): void
  /** Resolves with the next watch to begin. */
  started(): Promise<SourceContext>
}

export function handSource(name = 'hand'): HandSource {
  const events = new EventEmitter()
  const watches: SourceContext[] = []
  let publish: Publish = () => {
    throw new Error('not watched yet')
  }
  return {
    configured: {
      source: {
        name,
        settings: z.any(),
        async watch(_options, tell, context) {
          publish = tell
          watches.push(context)
          events.emit('watch', context)
          const aborted = context.signal.aborted ? Promise.resolve([]) : once(context.signal, 'abort')
          const [outcome] = (await Promise.race([aborted, once(events, 'end')])) as [{ error: unknown }?]
          if (outcome !== undefined && 'error' in outcome && outcome.error !== undefined) throw outcome.error
        },
      },
      options: undefined,
    },
    watches,
    publish: (services) => publish(services),
    end: (error) => void events.emit('end', { error }),
    async started() {
      const [context] = (await once(events, 'watch')) as [SourceContext]
      return context
    },
  }
}

/** A service at these origins, open to everybody unless its description says otherwise. */
export function service(
  name: string,
  origins: readonly string[],
  description: Service['description'] = {},
): Service {
  return {
    name,
    instances: origins.map((origin) => ({ id: origin, origin })),
    description: { enable: true, auth: 'none', ...description },
  }
}

export interface RecordedLog extends Log {
  readonly lines: readonly {
    readonly level: keyof Log
    readonly fields: LogFields
    readonly message: string
  }[]
}

export function recordedLog(): RecordedLog {
  const lines: RecordedLog['lines'][number][] = []
  const record = (level: keyof Log) => (fields: LogFields, message: string) =>
    void lines.push({ level, fields, message })
  return { lines, debug: record('debug'), info: record('info'), warn: record('warn'), error: record('error') }
}
