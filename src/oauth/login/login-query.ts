import { GatewayError } from '../../errors.ts'

/**
 * The parameters of a query, each once (RFC 6749 §3.1); one without a value counts as left out.
 * @throws GatewayError `invalid_request` naming the parameter that came twice, never its value
 */
export function readQuery(querystring: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(querystring)) {
    if (parameters.has(name)) throw refused(`${shownName(name)}: expected once.`)
    parameters.set(name, value)
  }
  for (const [name, value] of parameters) if (value === '') parameters.delete(name)
  return parameters
}

/** A request that breaks the rules, and which one. */
export function refused(detail: string): GatewayError {
  return new GatewayError('invalid_request', { detail })
}

/** Names come from outside too: what does not look like one may be a secret in the wrong place. */
const shownName = (name: string) => (/^[A-Za-z0-9_-]{1,32}$/.test(name) ? name : 'A parameter')
