import { createLookup, type Route } from '../discovery/table.ts'
import { createGuardedLookup } from '../proxy/look-alikes.ts'

/** Why a path is led to the one prefix and to no other. */
export interface Match {
  readonly prefix: string
  /** Shorter prefixes that the path is under as well. */
  readonly shorter: readonly Rival[]
  /** Longer ones that it is not under, and near misses. */
  readonly longer: readonly Rival[]
  /** Longer ones that a careless house might take the path for: what they ask for is asked for. */
  readonly resembles: readonly Rival[]
}

interface Rival {
  readonly prefix: string
  readonly service: string
}

/** How many neighbours are worth telling. */
const mostRivals = 20

/** @param found the table's route that the path is led to */
export function explainMatch(path: string, routes: readonly Route[], found: Route): Match {
  const others = routes.filter((route) => route !== found)
  // Each is asked by itself, so that the rule is the lookup's alone.
  const shorter = others.filter((route) => createLookup([route])(path) !== undefined)
  const longer = others.filter((route) => !shorter.includes(route) && isNear(path, route, found))
  const resembles = others.filter((route) => {
    const guarded = createGuardedLookup([found, route])(path)
    return guarded !== undefined && guarded !== found && guarded.prefix === found.prefix
  })
  return { prefix: found.prefix, shorter: told(shorter), longer: told(longer), resembles: told(resembles) }
}

/** Where no prefix leads on: those that somebody may have had in mind. */
export function nearMisses(path: string, routes: readonly Route[]): readonly Rival[] {
  return told(routes.filter((route) => resemblesStart(path, route.prefix)))
}

/** Longer than what was found: beneath it, or differing in what is no whole segment. */
function isNear(path: string, { prefix }: Route, found: Route): boolean {
  const isBeneath = found.prefix !== '/' && prefix.startsWith(`${found.prefix}/`)
  return prefix.length > found.prefix.length && (isBeneath || resemblesStart(path, prefix))
}

/** The same up to its case, or up to where the one or the other ends in mid-segment; or the same first two segments. */
function resemblesStart(path: string, prefix: string): boolean {
  const [a, b] = [path.toLowerCase(), prefix.toLowerCase()]
  const head = b.split('/', 3).join('/')
  return a.startsWith(b) || b.startsWith(a) || a === head || a.startsWith(`${head}/`)
}

const told = (routes: readonly Route[]): Rival[] =>
  routes.slice(0, mostRivals).map(({ prefix, service }) => ({ prefix, service }))
