import type { RoutesView } from '../admin/list-routes.ts'
import { rateSlots } from './add-up-traffic.ts'
import type { Traffic, TrafficHistory } from './traffic.ts'

/** How one process of the gateway is doing. Structured-cloneable. */
export interface ProcessStatus {
  readonly routes: RoutesView
  /** The last few slots; a page gets the older ones when it is opened. */
  readonly traffic: Traffic
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** By how much the event loop is late. */
  readonly delayMs: number
  /** How many requests were turned away because it was. */
  readonly shed: number
  /** Requests that have come and are not answered yet, the gateway's own among them. */
  readonly active: number
}

/** Beyond those of a rate, so that one that comes late is not missed. */
const recentSlots = rateSlots + 2

export interface ProcessStatusOptions {
  readonly listRoutes: () => RoutesView
  readonly history: Pick<TrafficHistory, 'read'>
  readonly overload: { delayMs(): number; shed(): number }
  readonly active: () => number
}

/** What this process answers when a dashboard, its own or another process's, asks. */
export function createProcessStatus(options: ProcessStatusOptions): () => ProcessStatus {
  const { listRoutes, history, overload, active } = options
  const startedAt = Math.round(performance.timeOrigin)
  return () => ({
    routes: listRoutes(),
    traffic: history.read(recentSlots),
    startedAt,
    delayMs: Math.round(overload.delayMs()),
    shed: overload.shed(),
    active: active(),
  })
}
