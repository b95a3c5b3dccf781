/** Never prefixed: orchestrators and other programs look for them at fixed places. */
const fixed = ['livez', 'readyz', 'metrics', '.well-known']
/** Under `ROUTE_PREFIX` where that is set. Those of parts still to come are kept free for them. */
const prefixed = [
  'docs',
  'openapi.json',
  'openapi',
  'tokens',
  'oauth',
  'login',
  'admin',
  'dashboard',
  'favicon.ico',
]

export interface OwnPaths {
  /** Whether the gateway itself answers this path. */
  includes(path: string): boolean
  /** Whether a service may not claim this prefix. */
  reserves(prefix: string): boolean
}

/**
 * Which paths are the gateway's own. Decided by the first segment alone, so that a proxied request pays for
 * one look into a set and not for a router.
 *
 * @param routePrefix empty or `/e`; with it the whole of `/e` is the gateway's
 */
export function createOwnPaths(routePrefix: string): OwnPaths {
  const segments = new Set(routePrefix === '' ? [...fixed, ...prefixed] : fixed)
  function includes(path: string): boolean {
    if (routePrefix === '') {
      if (path === '/') return true
    } else if (path === routePrefix || path.startsWith(`${routePrefix}/`)) return true
    const end = path.indexOf('/', 1)
    return segments.has(end === -1 ? path.slice(1) : path.slice(1, end))
  }
  return {
    includes,
    // A service may take `/`: everything that nobody else answers.
    reserves: (prefix) => prefix !== '/' && includes(prefix),
  }
}
