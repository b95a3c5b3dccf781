import type { Route } from '../discovery/table.ts'
import { type ConcurrencyLimit, createConcurrencyLimit, type QueueStatus } from './concurrency.ts'
import type { MirrorsInFlight } from './mirror.ts'
import { createRetryBudget, type RetryBudget } from './retry-budget.ts'
import type { ProxyRoute } from './routes.ts'
import type { UpstreamErrors } from './upstream-errors.ts'

/** What is known of a service beyond one table. */
interface ServiceState {
  readonly budget: RetryBudget
  readonly errors: UpstreamErrors
  /** Undefined where nobody has set one: the request then pays nothing for it. */
  readonly limit: ConcurrencyLimit | undefined
}

/** What has been counted of a service, for the metrics. */
export interface ServiceCounts {
  readonly retries: RetryBudget['counts']
  readonly errors: UpstreamErrors
  /** Undefined where it has no limit. */
  readonly queue: QueueStatus | undefined
  /** Undefined where nothing of it has been mirrored. */
  readonly mirrorsDropped: number | undefined
}

export interface ServiceStates {
  /** The state of a route's service, with its settings taken over. */
  of(route: Pick<Route, 'service' | 'concurrency'>): ServiceState
  /** Once the table is in place: services that are not among these are forgotten, and those who wait are served. */
  settle(services: { has(service: string): boolean }): void
  /** Its instances have changed: those who wait for one are served. */
  serve(service: string): void
  /** Of the service whose requests are copied. */
  mirrorsOf(service: string): MirrorsInFlight
  /** Undefined for a service that no route leads to. */
  counts(service: string): ServiceCounts | undefined
}

/** @param renew the route as the table has it now */
export function createServiceStates(renew: (route: ProxyRoute) => ProxyRoute): ServiceStates {
  const budgets = new Map<string, RetryBudget>()
  const errorsOf = new Map<string, UpstreamErrors>()
  const limits = new Map<string, ConcurrencyLimit>()
  const mirrors = new Map<string, MirrorsInFlight>()
  const unlimited = new Set<string>()

  return {
    of({ service, concurrency }) {
      const budget = budgets.get(service) ?? createRetryBudget()
      budgets.set(service, budget)
      const errors = errorsOf.get(service) ?? new Map()
      errorsOf.set(service, errors)
      let limit = limits.get(service)
      if (concurrency === undefined) {
        limit?.configure(undefined)
        unlimited.add(service)
        return { budget, errors, limit: undefined }
      }
      limit ??= createConcurrencyLimit(renew)
      limits.set(service, limit)
      limit.configure(concurrency)
      unlimited.delete(service)
      return { budget, errors, limit }
    },
    settle(services) {
      for (const [service, limit] of limits) {
        const isKnown = services.has(service)
        if (!isKnown || unlimited.has(service)) limits.delete(service)
        limit.refresh(isKnown)
      }
      for (const service of budgets.keys()) if (!services.has(service)) budgets.delete(service)
      for (const service of errorsOf.keys()) if (!services.has(service)) errorsOf.delete(service)
      for (const service of mirrors.keys()) if (!services.has(service)) mirrors.delete(service)
      unlimited.clear()
    },
    serve: (service) => limits.get(service)?.refresh(true),
    mirrorsOf(service) {
      const mirror = mirrors.get(service) ?? { count: 0, dropped: 0 }
      mirrors.set(service, mirror)
      return mirror
    },
    counts(service) {
      const retries = budgets.get(service)?.counts
      const queue = limits.get(service)?.status()
      const errors = errorsOf.get(service)
      if (retries === undefined || errors === undefined) return undefined
      return { retries, errors, queue, mirrorsDropped: mirrors.get(service)?.dropped }
    },
  }
}
