import type { RequestCounts } from '../observability/request-counts.ts'
import type { ProxyRoute } from '../proxy/routes.ts'
import { createOwnRoute } from './own-route.ts'

/** Counts what comes to the door, for the metrics. */
export interface CountRequests {
  /** A request has come; `end` has to follow. */
  begin(): void
  /**
   * @param path checked, or `-`
   * @param route undefined for what was not for a house, or never came as far as the proxy
   * @returns the name under which it was counted, one of a bounded set
   */
  end(
    path: string,
    route: Pick<ProxyRoute, 'prefix' | 'service'> | undefined,
    method: string,
    status: number,
    durationMs: number,
  ): string
}

/** @param routePrefix empty or `/e` */
export function createCountRequests(
  { begin, count }: Pick<RequestCounts, 'begin' | 'count'>,
  routePrefix: string,
): CountRequests {
  const ownRoute = createOwnRoute(routePrefix)
  return {
    begin,
    end(path, route, method, status, durationMs) {
      const name = route === undefined ? ownRoute(path) : route.prefix
      count(name, route?.service, method, status, durationMs / 1000)
      return name
    },
  }
}
