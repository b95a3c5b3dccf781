import type { RoutingConfig } from '../config/config.ts'
import { createDrafting } from './draft.ts'
import { buildRoutes, type KnownService } from './merge.ts'
import { emptyTable } from './table.ts'

export interface Review {
  readonly services: number
  /** Prefixes that lead somewhere by what is written down; what services say of themselves is not known yet. */
  readonly routes: number
  /** What is legal but can hardly be meant, one sentence each. */
  readonly warnings: readonly string[]
}

/**
 * Looks over what the operator wrote down as the address book will understand it.
 *
 * @param reserved prefixes that are the gateway's own
 */
export function reviewRouting(
  { services, urls }: RoutingConfig,
  reserved: (prefix: string) => boolean,
): Review {
  const names = new Set([...services.keys(), ...urls.keys()])
  // A discovered service without a path of the operator's has one of its own, which only the service knows.
  const known = [...names].filter((name) => urls.has(name) || services.get(name)?.path !== undefined)
  const { routes, problems } = buildRoutes(
    known.map(
      (name): KnownService => ({
        service: { name, instances: [], description: {} },
        vanished: false,
      }),
    ),
    { draft: createDrafting(reserved), overrides: services, previous: emptyTable, complete: false },
  )
  const byService = Map.groupBy(routes, ({ service }) => service)
  const warnings = [...problems]
  for (const [name, { enable, scope }] of services) {
    if (enable === false) warnings.push(`service ${name}: enable is false: nobody reaches it`)
    const own = byService.get(name) ?? []
    if (scope !== undefined && own.length > 0 && own.every(({ auth }) => auth === 'none')) {
      warnings.push(
        `service ${name}: nobody has to say who he is (auth: none): scope=${scope.join(' ')} has no effect`,
      )
    }
  }
  return { services: names.size, routes: routes.length, warnings }
}
