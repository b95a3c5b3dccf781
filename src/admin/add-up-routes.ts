import type { InstanceView } from './instance-view.ts'
import type { RoutesView, RouteView } from './list-routes.ts'

/**
 * One view of what several workers see, each with its own counts of the same instances.
 *
 * @param all the first is that of the worker that was asked, and says which routes there are
 */
export function addUpRoutes(all: readonly [RoutesView, ...RoutesView[]]): RoutesView {
  const [own] = all
  if (all.length === 1) return own
  const byService = new Map<string, Map<string, InstanceView[]>>()
  for (const { routes } of all) {
    for (const [service, instances] of servicesOf(routes)) gather(byService, service, instances)
  }
  const addUpService = (service: string, instances: readonly InstanceView[]) =>
    instances.map((one) => addUpInstance(one, byService.get(service)?.get(keyOf(one)) ?? [one]))
  return {
    ...own,
    workers: all.length,
    routes: own.routes.map((route) => ({
      ...route,
      instances: addUpService(route.service, route.instances),
      ...(route.canary && {
        canary: {
          ...route.canary,
          instances: addUpService(route.canary.service, route.canary.instances),
        },
      }),
    })),
  }
}

/** Each service once: the routes of one service show the same instances. */
function servicesOf(routes: readonly RouteView[]): Map<string, readonly InstanceView[]> {
  return new Map(
    routes.flatMap(({ service, instances, canary }) => [
      [service, instances] as const,
      ...(canary ? [[canary.service, canary.instances] as const] : []),
    ]),
  )
}

function gather(
  byService: Map<string, Map<string, InstanceView[]>>,
  service: string,
  instances: readonly InstanceView[],
): void {
  const byInstance = byService.get(service) ?? new Map<string, InstanceView[]>()
  byService.set(service, byInstance)
  for (const instance of instances) {
    const seen = byInstance.get(keyOf(instance))
    if (seen === undefined) byInstance.set(keyOf(instance), [instance])
    else seen.push(instance)
  }
}

/**
 * Requests in flight and failures are sums. It is usable where any worker uses it, and what only some say is said
 * with how many they are.
 */
function addUpInstance(own: InstanceView, views: readonly InstanceView[]): InstanceView {
  const { reason: _, ejectedForMs: __, slowStartForMs: ___, ...rest } = own
  const ejectedForMs = Math.max(0, ...views.map((view) => view.ejectedForMs ?? 0))
  const slowStartForMs = Math.max(0, ...views.map((view) => view.slowStartForMs ?? 0))
  const reason = reasonOf(views)
  return {
    ...rest,
    usable: views.some(({ usable }) => usable),
    ...(reason !== undefined && { reason }),
    ...(ejectedForMs > 0 && { ejectedForMs }),
    ...(slowStartForMs > 0 && { slowStartForMs }),
    weight: Math.max(...views.map(({ weight }) => weight)),
    ejections: Math.max(...views.map(({ ejections }) => ejections)),
    consecutiveFailures: sum(views.map(({ consecutiveFailures }) => consecutiveFailures)),
    inFlight: sum(views.map(({ inFlight }) => inFlight)),
  }
}

/** An ejection, where there is one: it is what an operator looks for. */
function reasonOf(views: readonly InstanceView[]): string | undefined {
  const ejected = views.filter(({ ejectedForMs }) => ejectedForMs !== undefined)
  const saying = ejected.length > 0 ? ejected : views.filter(({ reason }) => reason !== undefined)
  const reason = saying[0]?.reason
  if (reason === undefined || saying.length === views.length) return reason
  return `in ${saying.length} of ${views.length} workers: ${reason}`
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)

const keyOf = ({ origin, serverName = '' }: InstanceView) => `${origin} ${serverName}`
