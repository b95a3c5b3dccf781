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
  const entries = routes.map((route) => ({ ...entryOf(route.prefix), route, mayResemble: false }))
  const byPlain = Map.groupBy(entries, ({ plain }) => plain)
  for (const { plain, route } of entries) {
    for (const shorter of prefixesOf(plain).slice(0, -1)) {
      for (const entry of byPlain.get(shorter) ?? []) entry.mayResemble ||= asksMore(route, entry.route)
    }
  }
  const lookup = createLookup(entries)
  return (path) => {
    const found = lookup(path)
    if (found === undefined || !found.mayResemble) return found?.route
    const longer = prefixesOf(plainPath(path)).slice(found.depth + 1)
    const resembled = longer.flatMap((plain) => byPlain.get(plain) ?? [])
    return resembled.reduce((route, entry) => bothGuards(route, entry.route), found.route)
  }
}

function entryOf(prefix: string) {
  const plain = plainPath(prefix)
  return { prefix, plain, depth: prefixesOf(plain).length - 1 }
}

/** The path as the most careless house reads it. */
const plainPath = (path: string) => (path === '/' ? '' : path.split('/').map(plainSegment).join('/'))

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
