import type { RouteView } from '../admin/list-routes.ts'
import { spokenDuration } from './text-table.ts'

type Route = RouteView | undefined

/** When an instance is left out. */
export function ejection(route: Route): string[] {
  if (route === undefined) return []
  const { ejectAfter, ejectTimeMs, ejectPercent, panicPercent } = route.health
  if (ejectAfter === 0 || ejectPercent === 0) return ['never: an instance that fails goes on being used']
  const panic =
    panicPercent === 0 ? '' : `; where less than ${panicPercent} % would be left, all of them are used`
  return [
    `after ${ejectAfter} ${ejectAfter === 1 ? 'failure' : 'failures in a row'}, for ${spokenDuration(ejectTimeMs)} the first time`,
    `at most ${ejectPercent} % of the instances at once, but always one of two or more${panic}`,
  ]
}

/** How an instance that has just come is used. */
export function slowStart(route: Route): string[] {
  const { slowStartMs = 0 } = route?.health ?? {}
  return slowStartMs === 0 ? [] : [`a new instance comes to its share within ${spokenDuration(slowStartMs)}`]
}

/** How much the instances are given at a time. */
export function limit(route: Route): string[] {
  if (route?.concurrency === undefined) return []
  const { perInstance, queue, queueTimeoutMs } = route.concurrency
  const wait =
    queue === 0 ? 'nobody waits' : `${queue} more wait, for ${spokenDuration(queueTimeoutMs)} at most`
  return [`${perInstance} at a time for each instance; ${wait}`]
}

/** How many of the requests may be retries. */
export function budget(route: Route): string[] {
  if (route === undefined) return []
  return [`no more than ${route.retryBudget} % of the service's requests of the last 10 s, but 3 a second`]
}
