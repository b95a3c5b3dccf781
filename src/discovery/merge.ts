import type { Description, GuardedPath } from './description.ts'
import { healthSettings } from './health-settings.ts'
import { loadSettings } from './load-settings.ts'
import { addSideTraffic, type Member, operatorsWords } from './side-traffic.ts'
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
 *
 * @param complete every source has spoken: a service that is not among these is not there
 */
export function buildRoutes(
  services: Iterable<KnownService>,
  overrides: ReadonlyMap<string, Description>,
  reserved: (prefix: string) => boolean,
  previous: Table,
  complete = false,
): MergeResult {
  const holders = new Map(previous.routes.map((route) => [route.prefix, route.service]))
  const claims = new Map<string, Claim[]>()
  const problems: string[] = []
  const members = new Map<string, Member>()
  for (const service of services) {
    const word = overrides.get(service.name)
    const description: Description = { ...ownWords(service, word, problems), ...word }
    if (description.enable === false) continue
    const settings = settingsOf(service, description)
    members.set(service.name, { description, routeAt: (place) => ({ ...settings, ...place }) })
    // It has no path of its own, whoever says that it is one.
    if ((word?.['canary-of'] ?? service.description['canary-of']) !== undefined) continue
    for (const route of routesOf(service, description, settings, problems)) {
      const { prefix } = route
      if (reserved(prefix)) {
        problems.push(`service ${service.name} claims ${prefix}, which is the gateway's own: left out`)
        continue
      }
      const rivals = claims.get(prefix)
      if (rivals === undefined) claims.set(prefix, [{ route, vanished: service.vanished }])
      else if (rivals.at(-1)!.route.service !== service.name)
        rivals.push({ route, vanished: service.vanished })
    }
  }
  const routes = [...claims].map(([prefix, rivals]) => settle(prefix, rivals, holders.get(prefix), problems))
  routes.sort((a, b) => b.prefix.length - a.prefix.length || (a.prefix < b.prefix ? -1 : 1))
  return { routes: addSideTraffic(routes, { members, overrides, complete, problems }), problems }
}

/** One service's wish for a prefix. */
interface Claim {
  readonly route: Route
  readonly vanished: boolean
}

function settle(
  prefix: string,
  claims: readonly Claim[],
  holder: string | undefined,
  problems: string[],
): Route {
  const living = claims.filter((claim) => !claim.vanished)
  const candidates = living.length > 0 ? living : claims
  const { route } = candidates.find((claim) => claim.route.service === holder) ?? candidates[0]!
  for (const { service } of living.map((claim) => claim.route)) {
    if (service === route.service) continue
    problems.push(
      `services ${route.service} and ${service} both claim ${prefix}: ${route.service} keeps it, ${service} is not reachable there`,
    )
  }
  return route
}

type Settings = Omit<Route, 'prefix' | 'strip' | 'auth' | 'scopes'>

/** What holds at every path of a service. */
function settingsOf(service: Service, description: Description): Settings {
  return {
    service: service.name,
    timeoutMs: description.timeout,
    retries: description.retries ?? 1,
    openapi: description.openapi ?? '/openapi.json',
    inject: description.inject,
    balance: description.balance ?? 'p2c',
    health: healthSettings(description),
    ...loadSettings(description),
    instances: service.instances,
  }
}

/** What a service says of itself, without what is not for it to say. */
function ownWords(
  { name, description }: Service,
  word: Description | undefined,
  problems: string[],
): Description {
  if (!operatorsWords.some((key) => key in description)) return description
  for (const key of ['canary-of', 'mirror-to'] as const) {
    if (description[key] === undefined || word?.[key] !== undefined) continue
    problems.push(
      `service ${name} says ${key}=${description[key]} of itself: only gateway.yaml can say so, nothing is sent there`,
    )
  }
  const own = Object.entries(description).filter(([key]) => !operatorsWords.some((word) => word === key))
  return Object.fromEntries(own)
}

function routesOf(
  service: Service,
  description: Description,
  settings: Settings,
  problems: string[],
): Route[] {
  const defaultPath = `/api/${service.name}`
  const paths = description.path ?? [defaultPath]
  const wanted = description.strip ?? (description.path === undefined ? defaultPath : '')
  return paths.map((path) => {
    const { prefix, auth, scope }: GuardedPath = typeof path === 'string' ? { prefix: path } : path
    const strippable = wanted === '' || prefix === wanted || prefix.startsWith(`${wanted}/`)
    if (!strippable) {
      problems.push(
        `service ${service.name}: strip ${wanted} is not the beginning of ${prefix}: nothing is cut`,
      )
    }
    const guarded = auth ?? description.auth ?? 'required'
    if (description.inject !== undefined && guarded === 'none' && auth === undefined) {
      problems.push(
        `service ${service.name}: nobody has to say who he is at ${prefix} (auth=none): inject=${description.inject} has no effect there`,
      )
    }
    return {
      ...settings,
      prefix,
      strip: strippable ? wanted : '',
      auth: guarded,
      scopes: scope ?? description.scope ?? [],
    }
  })
}
