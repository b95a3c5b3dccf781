import { asksMore, bothGuards } from '../proxy/look-alikes.ts'
import type { Description } from './description.ts'
import type { Route } from './table.ts'

/** A service that may be sent another's requests. */
export interface Member {
  readonly description: Description
  /** Its own settings, at another service's place. */
  readonly routeAt: (place: Pick<Route, 'prefix' | 'strip' | 'auth' | 'scopes' | 'inject'>) => Route
}

export interface SideTrafficOptions {
  readonly members: ReadonlyMap<string, Member>
  /** gateway.yaml: who gets another's requests is never for a service to say. */
  readonly overrides: ReadonlyMap<string, Description>
  /** Every source has spoken: who is not among the members is not there. */
  readonly complete: boolean
  readonly problems: string[]
}

type Guard = Pick<Route, 'auth' | 'scopes'>

/** Of a description, the words of which gateway.yaml alone is heard. */
export const operatorsWords = [
  'canary-of',
  'canary-percent',
  'canary-header',
  'mirror-to',
  'mirror-percent',
] as const satisfies readonly (keyof Description)[]

/**
 * Gives routes their canaries and mirrors. Neither is a way around a guard: at a canary the stricter of both holds,
 * and nothing is mirrored to a service that asks more of its callers than the route does.
 */
export function addSideTraffic(routes: readonly Route[], options: SideTrafficOptions): readonly Route[] {
  const { members, overrides, complete, problems } = options
  const canaries = findCanaries(routes, options)
  const missing = new Set<string>()
  problems.push(...wordsWithoutEffect(overrides))

  function canaryOf(route: Route): Route['canary'] {
    const name = canaries.get(route.service)
    if (name === undefined) return undefined
    const member = members.get(name)
    const word = overrides.get(name)
    if (member === undefined || word === undefined) return undefined
    const beneath = guardedPaths(member.description, route).find(
      ({ prefix, ...guard }) => prefix !== route.prefix && asksMore(guard, route),
    )
    if (beneath !== undefined) {
      problems.push(
        `service ${name} asks for more at ${beneath.prefix} than ${route.service}, whose canary it is, does at ${route.prefix}: it gets nothing there`,
      )
      return undefined
    }
    const own = guardedPaths(member.description, route).find(({ prefix }) => prefix === route.prefix)
    const { auth, scopes } = own ?? guardOf(member.description, route)
    const { prefix, strip, inject } = route
    return {
      percent: word['canary-percent'] ?? 0,
      header: word['canary-header'],
      route: bothGuards(member.routeAt({ prefix, strip, inject, auth, scopes }), route),
    }
  }

  function mirrorOf(route: Route): Route['mirror'] {
    const word = overrides.get(route.service)
    const name = word?.['mirror-to']
    const percent = word?.['mirror-percent'] ?? 100
    if (name === undefined || percent === 0) return undefined
    const member = members.get(name)
    const refuse = (why: string) => {
      problems.push(`service ${route.service}: mirror-to=${name}: ${why}: nothing is mirrored`)
      return undefined
    }
    if (name === route.service) return refuse('it is the same service')
    if (member === undefined) {
      if (complete && !missing.has(route.service)) refuse('nobody knows of that service')
      missing.add(route.service)
      return undefined
    }
    const { description } = member
    const guards: readonly Guard[] = [
      guardOf(description, route),
      ...guardedPaths(description, undefined, route),
    ]
    if (guards.some((guard) => asksMore(guard, route))) {
      return refuse(`it asks more of its callers than ${route.prefix} does`)
    }
    // A provider's token acts for the caller: what is done with it must not be done twice.
    if (route.inject !== undefined) return refuse(`${route.prefix} has inject=${route.inject}`)
    const { prefix, auth, scopes } = route
    return { percent, route: member.routeAt({ prefix, strip: '', inject: undefined, auth, scopes }) }
  }

  return routes.map((route) => {
    const canary = canaryOf(route)
    const mirror = mirrorOf(route)
    return canary === undefined && mirror === undefined ? route : { ...route, canary, mirror }
  })
}

/** How much of what goes where is not said: most likely a key has gone, or was written at the wrong service. */
function wordsWithoutEffect(overrides: SideTrafficOptions['overrides']): readonly string[] {
  const problems: string[] = []
  for (const [name, word] of overrides) {
    for (const [key, needed] of needs) {
      if (word[key] === undefined || word[needed] !== undefined) continue
      problems.push(`service ${name}: ${key} has no effect without ${needed}`)
    }
  }
  return problems
}

const needs = [
  ['canary-percent', 'canary-of'],
  ['canary-header', 'canary-of'],
  ['mirror-percent', 'mirror-to'],
] as const

/** Stable service → its canary. */
function findCanaries(routes: readonly Route[], options: SideTrafficOptions): ReadonlyMap<string, string> {
  const { members, overrides, complete, problems } = options
  const canaries = new Map<string, string>()
  // In their order among the members: it says which of two canaries gets the requests.
  const named = [...overrides].some(([, word]) => word['canary-of'] !== undefined) ? members.keys() : []
  for (const name of named) {
    const word = overrides.get(name)
    const stable = word?.['canary-of']
    if (word === undefined || stable === undefined) continue
    if (overrides.get(stable)?.['canary-of'] !== undefined) {
      problems.push(`service ${name} is a canary of ${stable}, which is a canary itself: it gets nothing`)
      continue
    }
    const other = canaries.get(stable)
    if (other !== undefined) {
      problems.push(`services ${other} and ${name} are both canaries of ${stable}: ${name} gets nothing`)
      continue
    }
    if (!routes.some(({ service }) => service === stable)) {
      if (complete)
        problems.push(`service ${name} is a canary of ${stable}, which has no route: it gets nothing`)
      continue
    }
    if (word['canary-percent'] === undefined && word['canary-header'] === undefined) {
      problems.push(
        `service ${name} is a canary of ${stable} without canary-percent or canary-header: it gets nothing`,
      )
    }
    canaries.set(stable, name)
  }
  return canaries
}

/** What a service says of who may pass, and where it says nothing, what the route says. */
function guardOf({ auth, scope }: Description, route: Guard): Guard {
  return { auth: auth ?? route.auth, scopes: scope ?? [] }
}

/** The paths at or beneath a route's (or all) of which the service has a word of their own on who may pass. */
function guardedPaths(description: Description, under: Route | undefined, route: Guard = under!) {
  return (description.path ?? []).flatMap((path) => {
    if (typeof path === 'string') return []
    const { prefix, auth, scope } = path
    const isBeneath =
      under === undefined || under.prefix === '/' || `${prefix}/`.startsWith(`${under.prefix}/`)
    const { auth: otherwise, scopes } = guardOf(description, route)
    return isBeneath ? [{ prefix, auth: auth ?? otherwise, scopes: scope ?? scopes }] : []
  })
}
