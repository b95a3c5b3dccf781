import type { Description } from './description.ts'
import type { Service } from './source.ts'
import type { Route, Table } from './table.ts'

/** A service as the sources know it, and whether any of them still names it. */
export interface KnownService extends Service {
  readonly vanished: boolean
}

export interface MergeResult {
  readonly routes: readonly Route[]
  /** What could not be agreed upon, one sentence each. */
  readonly problems: readonly string[]
}

/**
 * Services of several sources in order of precedence: the first source that has instances of a name speaks
 * for it; instances of different sources are never mixed, since one house may be known under two addresses.
 */
export function mergeSnapshots(snapshots: readonly (readonly Service[])[]): Map<string, Service> {
  const merged = new Map<string, Service>()
  for (const snapshot of snapshots) {
    for (const service of snapshot) {
      const known = merged.get(service.name)
      if (known === undefined || (known.instances.length === 0 && service.instances.length > 0)) {
        merged.set(service.name, service)
      }
    }
  }
  return merged
}

/**
 * Services → routes. The operator's word (`overrides`, gateway.yaml) wins over what a service says of itself.
 * Two services claiming one prefix: who held it in `previous` keeps it, so that a newcomer never takes a
 * living service's traffic; a vanished service yields to anybody.
 */
export function buildRoutes(
  services: Iterable<KnownService>,
  overrides: ReadonlyMap<string, Description>,
  reserved: (prefix: string) => boolean,
  previous: Table,
): MergeResult {
  const holders = new Map(previous.routes.map((route) => [route.prefix, route.service]))
  const claims = new Map<string, { route: Route; vanished: boolean }>()
  const problems: string[] = []
  for (const service of services) {
    const description: Description = { ...service.description, ...overrides.get(service.name) }
    if (description.enable === false) continue
    for (const route of routesOf(service, description, problems)) {
      if (reserved(route.prefix)) {
        problems.push(`service ${service.name} claims ${route.prefix}, which is the gateway's own: left out`)
        continue
      }
      const claim = { route, vanished: service.vanished }
      const rival = claims.get(route.prefix)
      if (rival === undefined) {
        claims.set(route.prefix, claim)
        continue
      }
      if (rival.route.service === service.name) continue
      const winner = chooseClaim(rival, claim, holders.get(route.prefix))
      claims.set(route.prefix, winner)
      if (rival.vanished || claim.vanished) continue
      const [kept, refused] =
        winner === rival ? [rival.route.service, service.name] : [service.name, rival.route.service]
      problems.push(
        `services ${kept} and ${refused} both claim ${route.prefix}: ${kept} keeps it, ${refused} is not reachable there`,
      )
    }
  }
  const routes = [...claims.values()].map((claim) => claim.route)
  routes.sort((a, b) => b.prefix.length - a.prefix.length || (a.prefix < b.prefix ? -1 : 1))
  return { routes, problems }
}

function chooseClaim<T extends { route: Route; vanished: boolean }>(
  a: T,
  b: T,
  holder: string | undefined,
): T {
  if (a.vanished !== b.vanished) return a.vanished ? b : a
  return b.route.service === holder ? b : a
}

function routesOf(service: Service, description: Description, problems: string[]): Route[] {
  const defaultPath = `/api/${service.name}`
  const prefixes = description.path ?? [defaultPath]
  const wanted = description.strip ?? (description.path === undefined ? defaultPath : '')
  return prefixes.map((prefix) => {
    const strippable = wanted === '' || prefix === wanted || prefix.startsWith(`${wanted}/`)
    if (!strippable) {
      problems.push(
        `service ${service.name}: strip ${wanted} is not the beginning of ${prefix}: nothing is cut`,
      )
    }
    return {
      prefix,
      service: service.name,
      strip: strippable ? wanted : '',
      auth: description.auth ?? 'required',
      scopes: description.scope ?? [],
      timeoutMs: description.timeout,
      retries: description.retries ?? 1,
      openapi: description.openapi ?? '/openapi.json',
      inject: description.inject,
      balance: description.balance ?? 'p2c',
      instances: service.instances,
    }
  })
}
