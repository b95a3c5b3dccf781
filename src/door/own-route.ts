/** Never prefixed; the last ones are the admin port's. */
const fixed = [
  '/livez',
  '/readyz',
  '/metrics',
  '/.well-known/jwks.json',
  '/.well-known/oauth-authorization-server',
  '/admin/*',
  '/dashboard',
  '/dashboard/*',
]
/** Under `ROUTE_PREFIX` where that is set; a name stands for any one segment, `*` for whatever follows. */
const prefixed = [
  '',
  '/docs',
  '/docs/assets/*',
  '/openapi.json',
  '/openapi',
  '/openapi/:service',
  '/tokens/create',
  '/tokens/refresh',
  '/tokens/verify',
  '/tokens/revoke',
  '/tokens/dummy',
  '/login',
  '/oauth',
  '/oauth/providers',
  '/oauth/authorize',
  '/oauth/token',
  '/oauth/login/complete',
  '/oauth/:provider/login',
  '/oauth/:provider/callback',
  '/oauth/:id',
  '/oauth/:id/refresh',
  '/dashboard',
  '/dashboard/*',
  '/admin/*',
]

/** What is no endpoint, or was answered before anybody looked for one: a preflight, a path that is refused. */
const unmatched = 'unmatched'

/**
 * Under which name a request is counted that the gateway answers itself: one of a fixed few, whatever path is sent.
 *
 * @param routePrefix empty or `/e`
 * @returns gives the pattern of the endpoint, `ROUTE_PREFIX` included, for a path that has been checked
 */
export function createOwnRoute(routePrefix: string): (path: string) => string {
  const all = [...new Set([...fixed, ...prefixed.map((pattern) => routePrefix + pattern)])]
  const patterns = all.map((pattern) => ({ name: pattern || '/', segments: pattern.split('/') }))
  const plain = new Map(patterns.filter(({ name }) => !/[:*]/.test(name)).map(({ name }) => [name, name]))
  const wild = patterns.filter(({ name }) => !plain.has(name))
  return (path) => {
    const trimmed = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
    const exact = plain.get(trimmed)
    if (exact !== undefined) return exact
    const segments = trimmed.split('/')
    return wild.find((pattern) => fits(pattern.segments, segments))?.name ?? unmatched
  }
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.at(-1) === '*') {
    return segments.length >= pattern.length && pattern.slice(0, -1).every((one, at) => one === segments[at])
  }
  return (
    pattern.length === segments.length &&
    pattern.every((one, at) => one === segments[at] || (one.startsWith(':') && segments[at] !== ''))
  )
}
