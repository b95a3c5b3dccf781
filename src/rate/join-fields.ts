import type { ServerResponse } from 'node:http'

const ratePolicy = 'ratelimit-policy'
const rateLimit = 'ratelimit'

/**
 * A house may have limits of its own: both fields are lists, and what it says of itself follows what the gateway says.
 * Without this its words would take the place of the gateway's.
 *
 * @param head flat list of lower-case names and values, changed in place
 * @param outgoing which has the gateway's fields set already
 */
export function joinRateFields(head: string[], outgoing: ServerResponse): void {
  for (const field of [ratePolicy, rateLimit]) {
    const at = head.findIndex((name, i) => i % 2 === 0 && name === field)
    const own = at === -1 ? undefined : outgoing.getHeader(field)
    if (own !== undefined) head[at + 1] = `${own}, ${head[at + 1]}`
  }
}
