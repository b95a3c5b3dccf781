import { isDeepStrictEqual } from 'node:util'
import { shown } from '../config/fault.ts'
import { type Description, type GuardedPath, pathPrefix } from './description.ts'
import { healthSettings } from './health-settings.ts'
import { loadSettings } from './load-settings.ts'
import { type Member, operatorsWords } from './side-traffic.ts'
import type { Service } from './source.ts'
import type { Route } from './table.ts'

/** What one service asks for, before anybody else is looked at. */
interface Draft {
  /** What it may get of another's requests; undefined where it is not enabled. */
  readonly member: Member | undefined
  readonly routes: readonly Route[]
  readonly problems: readonly string[]
}

/** @param word what the operator says of the service in gateway.yaml; it wins over what the service says of itself */
export type DraftService = (service: Service, word: Description | undefined) => Draft

/**
 * Reads a service's description. The draft of the same service under the same word is the very same one, so that
 * whoever compares by identity learns what a new table has changed.
 *
 * @param reserved prefixes that no service may claim
 */
export function createDrafting(reserved: (prefix: string) => boolean): DraftService {
  const known = new WeakMap<Service, { readonly word: Description | undefined; readonly draft: Draft }>()
  return (service, word) => {
    const last = known.get(service)
    if (last !== undefined && isDeepStrictEqual(last.word, word)) return last.draft
    const draft = draftOf(service, word, reserved)
    known.set(service, { word, draft })
    return draft
  }
}

function draftOf(
  service: Service,
  word: Description | undefined,
  reserved: (prefix: string) => boolean,
): Draft {
  const problems: string[] = []
  const description: Description = { ...ownWords(service, word, problems), ...word }
  if (description.enable === false) return { member: undefined, routes: [], problems }
  const settings = settingsOf(service, description)
  const member: Member = { description, routeAt: (place) => ({ ...settings, ...place }) }
  if (typeof description.cache === 'number' && description.inject !== undefined) {
    problems.push(
      `service ${service.name}: replies made with the caller's token of ${description.inject} are never stored: cache has no effect`,
    )
  }
  // It has no path of its own, whoever says that it is one.
  const isCanary = (word?.['canary-of'] ?? service.description['canary-of']) !== undefined
  if (isCanary) return { member, routes: [], problems }
  const routes = routesOf(service, description, settings, problems).filter(({ prefix }) => {
    if (!reserved(prefix)) return true
    problems.push(`service ${service.name} claims ${prefix}, which is the gateway's own: left out`)
    return false
  })
  return { member, routes, problems }
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
    cache: cacheOf(description),
    balance: description.balance ?? 'p2c',
    health: healthSettings(description),
    ...loadSettings(description),
    instances: service.instances,
  }
}

/** What comes with a provider's token is its owner's alone: no such reply is stored, whatever is said of it. */
function cacheOf({ cache, inject }: Description): Route['cache'] {
  return cache === undefined || cache === false || inject !== undefined
    ? undefined
    : { defaultSeconds: cache / 1000 }
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
  // Consul's names may be anything; what is written down has been checked.
  if (description.path === undefined && !pathPrefix.safeParse(defaultPath).success) {
    problems.push(`service ${shown(service.name)}: its name makes no path: expected a path of its own`)
    return []
  }
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
      ...(description.rate && { rate: description.rate }),
    }
  })
}
