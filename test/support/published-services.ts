import { once } from 'node:events'
import { z } from 'zod'
import type { ConfiguredSource } from '../../src/config/config.ts'
import type { Publish, Service } from '../../src/discovery/source.ts'

export interface PublishedServices {
  readonly configured: ConfiguredSource
  /** The service `house` has these instances from now on, and no others. */
  publish(origins: readonly string[]): void
}

/** A discovery source that says what the test says: one service, `house`, open to everybody. */
export function publishedServices(
  origins: readonly string[],
  description: Service['description'] = {},
): PublishedServices {
  let current = origins
  let tell: Publish | undefined
  const snapshot = () => [
    {
      name: 'house',
      instances: current.map((origin) => ({ id: origin, origin })),
      description: { enable: true, auth: 'none', openapi: false, ...description } as const,
    },
  ]
  return {
    configured: {
      source: {
        name: 'test',
        settings: z.any(),
        async watch(_options, publish, { signal }) {
          tell = publish
          publish(snapshot())
          if (!signal.aborted) await once(signal, 'abort')
        },
      },
      options: undefined,
    },
    publish(next) {
      current = next
      tell?.(snapshot())
    },
  }
}
