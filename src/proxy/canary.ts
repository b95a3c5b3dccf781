import type { Canary } from '../discovery/table.ts'
import { bothGuards } from './look-alikes.ts'
import type { ProxyRoute } from './routes.ts'

/** A service that answers some of another's requests. */
export interface ProxyCanary extends Pick<Canary, 'percent' | 'header'> {
  /** The canary's; its `stable` is the route that has it. */
  readonly route: ProxyRoute
}

/**
 * The route that a request takes: the canary's for those that have its header, and for so many per cent of the rest;
 * each is drawn for itself, so that nobody is kept to either. A canary without instances gets nothing.
 *
 * @param rawHeaders name, value, name, value …, as they came
 */
export function chooseRoute(
  route: ProxyRoute,
  rawHeaders: readonly string[],
  random: () => number,
): ProxyRoute {
  const { canary } = route
  if (canary === undefined || canary.route.group.all.length === 0) return route
  const { header, percent } = canary
  const isChosen = (header !== undefined && has(rawHeaders, header)) || random() * 100 < percent
  // A look-alike of a guarded path asks for more than the canary's route was made for.
  return isChosen ? bothGuards(canary.route, route) : route
}

function has(rawHeaders: readonly string[], { name, value }: { name: string; value: string }): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i + 1] === value && rawHeaders[i]!.toLowerCase() === name) return true
  }
  return false
}
