import { createLookup, type Lookup, type Route } from '../discovery/table.ts'

type Guard = Pick<Route, 'auth' | 'scopes'>
type Guarded = Guard & Pick<Route, 'prefix'>

/**
 * Looks a path up, and asks of its caller what a longer prefix asks that it resembles: with `/api/open; auth=none`
 * and `/api/open/me; auth=required`, a token is asked for `/api/open/ME`, `me;x`, `me.json` and `me%20` as well,
 * which a house that ignores case, or drops path parameters or extensions, takes for `/api/open/me`. Such a path is
 * still led to where it was; only `auth` and `scopes` are those of both.
 *
 * Only routes with a longer prefix that asks for more pay for it.
 */
export function createGuardedLookup<T extends Guarded>(routes: readonly T[]): Lookup<T> {
  // Made anew with every table, hence of few parts: V8 puts an object for each route among those that live long.
  const byPlain = new Map<string, T>()
  const twins = new Map<string, T[]>()
  const mayResemble = new Set<T>()
  const lookup = createLookup(routes)

  function add(plain: string, route: T): void {
    const [first, others] = [byPlain.get(plain), twins.get(plain)]
    if (first === undefined) byPlain.set(plain, route)
    else if (others === undefined) twins.set(plain, [first, route])
    else others.push(route)
  }

  function allAt(plain: string): readonly T[] {
    const first = byPlain.get(plain)
    return first === undefined ? [] : (twins.get(plain) ?? [first])
  }

  for (const route of routes) add(plainPath(route.prefix), route)
  for (const [plain, first] of byPlain) {
    for (let end = plain.indexOf('/'); end !== -1; end = plain.indexOf('/', end + 1)) {
      const beginning = plain.slice(0, end)
      if (!byPlain.has(beginning)) continue
      for (const longer of twins.get(plain) ?? [first]) {
        for (const shorter of allAt(beginning)) if (asksMore(longer, shorter)) mayResemble.add(shorter)
      }
    }
  }
  return (path) => {
    const found = lookup(path)
    if (found === undefined || !mayResemble.has(found)) return found
    const depth = prefixesOf(plainPath(found.prefix)).length
    const resembled = prefixesOf(plainPath(path)).slice(depth).flatMap(allAt)
    return resembled.reduce<T>(bothGuards, found)
  }
}

/** The path as the most careless house reads it. */
function plainPath(path: string): string {
  if (path === '/') return ''
  return /^[a-z0-9_/-]*$/.test(path) ? path : path.split('/').map(plainSegment).join('/')
}

/**
 * Decoded however often it was encoded, in lower case, without what follows its first word. What stands before that
 * is kept: `@me` is not `@you`.
 */
function plainSegment(segment: string): string {
  if (/^[a-z0-9_-]*$/.test(segment)) return segment
  const text = decoded(segment).normalize('NFKC').trim().toLowerCase()
  return /^[^a-z0-9_-]*[a-z0-9_-]*/.exec(text)![0]
}

function decoded(text: string): string {
  if (!text.includes('%')) return text
  const once = decodeOnce(text)
  return once === text ? text : decoded(once)
}

function decodeOnce(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // No UTF-8, or a % that stands for itself.
    return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  }
}

/** `/a/b` → ``, `/a`, `/a/b` */
function prefixesOf(plain: string): string[] {
  const prefixes: string[] = []
  for (let end = plain.indexOf('/'); end !== -1; end = plain.indexOf('/', end + 1)) {
    prefixes.push(plain.slice(0, end))
  }
  return [...prefixes, plain]
}

const strictness = { none: 0, optional: 1, required: 2 }

/** Of a route that asks nobody anything scopes count for nothing. */
const scopesOf = ({ auth, scopes }: Guard) => (auth === 'none' ? [] : scopes)

/** Whether there are callers whom `other` lets pass and `one` does not. */
export function asksMore(one: Guard, other: Guard): boolean {
  const known = scopesOf(other)
  return (
    strictness[one.auth] > strictness[other.auth] || scopesOf(one).some((scope) => !known.includes(scope))
  )
}

/** The route, where `other` asks for more with a guard that asks for what both ask. */
export function bothGuards<T extends Guard>(route: T, other: Guard): T {
  if (!asksMore(other, route)) return route
  return {
    ...route,
    auth: strictness[other.auth] > strictness[route.auth] ? other.auth : route.auth,
    scopes: [...new Set([...scopesOf(route), ...scopesOf(other)])],
  }
}
