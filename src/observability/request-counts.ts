/** What was counted of one route: a prefix and the service that answers there, or an endpoint of the gateway's own. */
export interface RouteCount {
  /** The route's prefix, or the pattern of an endpoint of the gateway's own: never a path that somebody sent. */
  readonly route: string
  /** Undefined for what the gateway answers itself. */
  readonly service: string | undefined
  readonly requests: readonly RequestCount[]
  readonly durations: DurationCount
}

/** `_OTHER` for methods that HTTP does not name. */
interface RequestCount {
  readonly method: string
  readonly status: number
  readonly count: number
}

/** How long requests took; open WebSockets are none of them. */
interface DurationCount {
  /** How many took as long as each of `durationBounds` or less, but longer than the one before; the last one longer. */
  readonly buckets: readonly number[]
  /** In seconds. */
  readonly sum: number
  readonly count: number
}

export interface RequestCounts {
  /** A request has come: it is active until it is counted. */
  begin(): void
  /**
   * A request is over.
   *
   * @param route of a bounded set, see `RouteCount`
   * @param status 100 to 599
   */
  count(
    route: string,
    service: string | undefined,
    method: string,
    status: number,
    durationSeconds: number,
  ): void
  /** What has begun and is not over, open WebSockets among it. */
  active(): number
  /** Of every route that had a request. Structured-cloneable. */
  read(): RouteCount[]
  /**
   * Tells which routes there are now. What is counted of another is forgotten five minutes after it left: by then
   * whoever reads has read it once more.
   */
  retain(routes: Iterable<CountedRoute>): void
}

interface CountedRoute {
  readonly prefix: string
  readonly service: string
  /** Answers under the same prefix. */
  readonly canary?: { readonly route: CountedRoute } | undefined
}

/** In seconds; those that OpenTelemetry advises for `http.server.request.duration`. */
export const durationBounds: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
]

/** RFC 9110 §9.1 and RFC 5789; others could be made up without end. */
const knownMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT']
const otherMethod = '_OTHER'

/** How long what has left the table is still told. */
const keptMs = 5 * 60_000
/** A method and a status make one number: `method * statuses + status`. */
const statuses = 1000

interface Counted {
  readonly route: string
  readonly service: string | undefined
  readonly requests: Map<number, number>
  readonly buckets: Float64Array
  sum: number
  count: number
  /** When it was found not to be in the table any more. */
  leftAt: number | undefined
}

/**
 * Counts requests by route, method and status. It is called for every request, and so looks up what the request has
 * at hand and builds nothing.
 *
 * @param now milliseconds of a clock that nobody sets
 */
export function createRequestCounts(now: () => number = () => performance.now()): RequestCounts {
  /** By route, then by service: a canary shares its route with the service it stands in for. */
  const byRoute = new Map<string, Map<string | undefined, Counted>>()
  const methods = new Map(knownMethods.map((method, index) => [method, index * statuses]))
  const otherMethodKey = knownMethods.length * statuses
  let present: ReadonlySet<string> = new Set()
  let active = 0

  function add(route: string, service: string | undefined): Counted {
    const services = byRoute.get(route) ?? new Map<string | undefined, Counted>()
    byRoute.set(route, services)
    const counted: Counted = {
      route,
      service,
      requests: new Map(),
      buckets: new Float64Array(durationBounds.length + 1),
      sum: 0,
      count: 0,
      // It may have left the table while its last request was under way.
      leftAt: service === undefined || present.has(keyOf(route, service)) ? undefined : now(),
    }
    services.set(service, counted)
    return counted
  }

  function forget(): void {
    const before = now() - keptMs
    for (const [route, services] of byRoute) {
      for (const [service, { leftAt }] of services) {
        if (leftAt !== undefined && leftAt <= before) services.delete(service)
      }
      if (services.size === 0) byRoute.delete(route)
    }
  }

  return {
    begin() {
      active += 1
    },
    count(route, service, method, status, durationSeconds) {
      active -= 1
      const counted = byRoute.get(route)?.get(service) ?? add(route, service)
      const key = (methods.get(method) ?? otherMethodKey) + status
      counted.requests.set(key, (counted.requests.get(key) ?? 0) + 1)
      if (status === 101) return
      let bucket = 0
      while (bucket < durationBounds.length && durationSeconds > durationBounds[bucket]!) bucket += 1
      counted.buckets[bucket]! += 1
      counted.sum += durationSeconds
      counted.count += 1
    },
    active: () => active,
    read() {
      forget()
      return [...byRoute.values()].flatMap((services) => [...services.values()].map(told))
    },
    retain(routes) {
      const next = new Set<string>()
      for (const { prefix, service, canary } of routes) {
        next.add(keyOf(prefix, service))
        if (canary !== undefined) next.add(keyOf(canary.route.prefix, canary.route.service))
      }
      present = next
      for (const services of byRoute.values()) {
        for (const counted of services.values()) {
          if (counted.service === undefined) continue
          const isPresent = next.has(keyOf(counted.route, counted.service))
          counted.leftAt = isPresent ? undefined : (counted.leftAt ?? now())
        }
      }
      forget()
    },
  }
}

/** No service's name has a space. */
const keyOf = (route: string, service: string) => `${service} ${route}`

function told({ route, service, requests, buckets, sum, count }: Counted): RouteCount {
  return {
    route,
    service,
    requests: [...requests].map(([key, times]) => ({
      method: knownMethods[Math.floor(key / statuses)] ?? otherMethod,
      status: key % statuses,
      count: times,
    })),
    durations: { buckets: [...buckets], sum, count },
  }
}
