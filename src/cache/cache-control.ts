/** Directives by lower-case name; true where one has no argument. */
export type Directives = ReadonlyMap<string, string | true>

const none: Directives = new Map()

/**
 * A token, and an argument that is a token or a quoted string (RFC 9111 §5.2, RFC 9110 §5.6); what stands between that and
 * the next comma should not be there.
 */
const directive = /([!#$%&'*+.^`|~\w-]+)(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,;"]*)))?([^,]*)/g

/** Heard also where another character than a comma stands in front of them. */
const forbidding = ['no-store', 'no-cache', 'private']

/** RFC 9111 §1.2.2: what a larger number of seconds counts as. */
export const mostSeconds = 2 ** 31

/** Arguments that are a number of seconds. */
const lifetimes = new Set([
  'max-age',
  's-maxage',
  'stale-while-revalidate',
  'stale-if-error',
  'max-stale',
  'min-fresh',
])

/**
 * Reads Cache-Control. What is no number of seconds where one is expected counts as 0, and of several the least holds:
 * what cannot be understood makes a reply stale, never fresh (RFC 9111 §4.2.1), and gives it to nobody else:
 * `public; private` is private.
 */
export function parseCacheControl(value: string | undefined): Directives {
  if (value === undefined || value === '') return none
  const directives = new Map<string, string | true>()
  for (const [, token = '', quoted, plain, rest = ''] of value.matchAll(directive)) {
    const name = token.toLowerCase()
    const isOdd = rest.trim() !== ''
    if (isOdd) for (const name of forbidden(rest)) directives.set(name, true)
    const argument = quoted?.replace(/\\(.)/g, '$1') ?? plain
    if (lifetimes.has(name)) {
      const seconds = isOdd || !/^\d+$/.test(argument ?? '') ? 0 : Math.min(Number(argument), mostSeconds)
      const known = directives.get(name)
      directives.set(name, String(known === undefined ? seconds : Math.min(seconds, Number(known))))
    } else if (!(isOdd && name === 'public')) directives.set(name, argument ?? true)
  }
  return directives
}

function forbidden(text: string): readonly string[] {
  const words = new Set<string>(text.toLowerCase().match(/[\w-]+/g))
  return forbidding.filter((name) => words.has(name))
}

/** The argument of a directive that has a number of seconds; undefined where the directive is not there. */
export function secondsOf(directives: Directives, name: string): number | undefined {
  const value = directives.get(name)
  return value === undefined ? undefined : Number(value)
}

/** As http-cache-semantics reads it: it tells case apart and splits quoted strings. */
export function formatDirectives(directives: Directives): string {
  return [...directives.keys()]
    .map((name) => (lifetimes.has(name) ? `${name}=${directives.get(name)}` : name))
    .join(', ')
}
