import { once } from 'node:events'
import { z } from 'zod'
import { serviceVariable } from '../../config/service-urls.ts'
import { isSrvUrl } from '../dns/target.ts'
import type { DiscoverySource, Service, SourceInput } from '../source.ts'
import { instanceWeight, splitWeight } from '../weighted-url.ts'

/** Services at the URLs that were written down, as they are: `AUTH_SERVICE_URL=http://localhost:8001`. */
export const staticSource = {
  name: 'static',
  takesUrls: true,
  isFixed: true,
  settings: z.custom<SourceInput>().transform(({ environment, urls }, context): readonly Service[] => {
    const services: Service[] = []
    for (const [name, list] of urls) {
      if (list.some(isSrvUrl)) {
        const variable = serviceVariable(name)
        context.addIssue({
          code: 'custom',
          path: environment[variable] === undefined ? ['urls', name] : ['environment', variable],
          message: 'expected http:// or https:// (SRV records need DISCOVERY=dns)',
        })
      }
      const weights = new Map(
        list.map((text) => {
          const { url = text, weight = 1 } = splitWeight(text) ?? {}
          return [new URL(url).origin, weight]
        }),
      )
      services.push({
        name,
        instances: [...weights].map(([origin, weight]) => ({
          id: origin,
          origin,
          ...instanceWeight(weight),
        })),
        description: {},
      })
    }
    return services
  }),
  async watch(services, publish, { signal }) {
    publish(services)
    if (!signal.aborted) await once(signal, 'abort')
  },
} satisfies DiscoverySource<readonly Service[]>
