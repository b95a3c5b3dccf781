import { createLookup, type Route } from '../discovery/table.ts'

export type PublishedRoute = Pick<
  Route,
  'prefix' | 'service' | 'strip' | 'auth' | 'scopes' | 'openapi' | 'instances'
>

/** A path as the public sees it, and the route that a request for it takes. */
interface PublicPath {
  readonly path: string
  readonly route: PublishedRoute
}

/** Gives the public paths that lead to a path of a service's own; none where no route does. */
export type FindPublicPaths = (service: string, housePath: string) => readonly PublicPath[]

/**
 * Undoes what the proxy does to a path: puts each route's `strip` back in front, and keeps the result only if
 * a request for it would really come to that route (longest prefix, whole segments, the gateway's own first).
 *
 * @param isOwn whether the gateway itself answers a path
 */
export function createPublicPaths(
  routes: readonly PublishedRoute[],
  isOwn: (path: string) => boolean,
): FindPublicPaths {
  const lookup = createLookup(routes)
  const byService = Map.groupBy(routes, (route) => route.service)
  return (service, housePath) => {
    const found: PublicPath[] = []
    for (const route of byService.get(service) ?? []) {
      const strip = route.strip === '/' ? '' : route.strip
      // What is forwarded as `/` came in as the bare prefix: `/api`, not `/api/`.
      const path = housePath === '/' && strip !== '' ? strip : `${strip}${housePath}`
      if (!isOwn(path) && lookup(path) === route) found.push({ path, route })
    }
    return found
  }
}
