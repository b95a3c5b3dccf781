import type { RouteView } from '../admin/list-routes.ts'
import { spokenDuration } from './text-table.ts'

/** How often one caller may ask. */
export function rate(route: RouteView | undefined): string[] {
  if (route?.rate === undefined) return []
  return route.rate.map(({ requests, seconds, per }) => {
    const many = requests === 1 ? '1 request' : `${requests} requests`
    return `${many} in ${spokenDuration(seconds * 1000)} for each ${per}${per === 'user' ? whoIsNobody(route) : ''}; then 429`
  })
}

/** Whom a limit for each user counts by address. */
const whoIsNobody = ({ auth }: RouteView) =>
  ({
    none: ', by address, since nobody is asked who he is',
    optional: ', or address of those who do not say who they are',
    required: '',
  })[auth]
