import type { RequestCounts } from '../observability/request-counts.ts'
import { createProcessStatus, type ProcessStatus, type ProcessStatusOptions } from './process-status.ts'
import { createTrafficHistory, slotCount, type Traffic } from './traffic.ts'

/** What one process of the gateway can be asked for a dashboard, whichever process that is open at. */
export interface OwnStatus {
  readonly status: () => ProcessStatus
  /** All that is kept of the last minutes. */
  readonly traffic: () => Traffic
  /** Begins to keep what was counted. */
  start(): void
  stop(): void
}

export interface OwnStatusOptions extends Pick<ProcessStatusOptions, 'listRoutes' | 'overload'> {
  readonly counts: Pick<RequestCounts, 'read' | 'active'>
}

/** Puts together what is asked of this process. */
export function createOwnStatus({ counts, ...options }: OwnStatusOptions): OwnStatus {
  const history = createTrafficHistory({ counts })
  return {
    status: createProcessStatus({ ...options, history, active: counts.active }),
    traffic: () => history.read(slotCount),
    start: history.start,
    stop: history.stop,
  }
}
