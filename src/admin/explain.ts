import { METHODS } from 'node:http'
import type { Config } from '../config/config.ts'
import type { Route } from '../discovery/table.ts'
import type { OwnPaths } from '../door/own-paths.ts'
import { checkTarget } from '../door/path.ts'
import type { DoorState } from '../door/state.ts'
import { GatewayError } from '../errors.ts'
import { chooseRoute } from '../proxy/canary.ts'
import { checkMethod } from '../proxy/proxy.ts'
import { noInstance } from '../proxy/retry.ts'
import { forwardedTarget, type ProxyRoute } from '../proxy/routes.ts'
import { explainHeaders, type HeaderChanges } from './explain-headers.ts'
import { explainMatch, type Match, nearMisses } from './explain-match.ts'
import { explainRetries, type Retries } from './explain-retries.ts'
import {
  createRouteViews,
  type Observed,
  type RouteView,
  type SourceView,
  viewSources,
} from './list-routes.ts'

/** The reply of `GET /admin/explain`: what would become of a request now. Nothing is sent anywhere. */
export interface Explanation {
  readonly method: string
  readonly url: string
  /** `own`: the gateway answers itself. `refused`: nobody is asked, see `refusal`. */
  readonly outcome: 'refused' | 'own' | 'forwarded'
  readonly refusal?: { readonly status: number; readonly code: string; readonly detail: string }
  /** The one reading of the path that is matched, judged and forwarded. */
  readonly path?: string
  /** Whether the target had to be put into that form first. */
  readonly normalized?: boolean
  /** Where no route leads on: prefixes that may have been meant. */
  readonly nearMisses?: readonly { readonly prefix: string; readonly service: string }[]
  readonly route?: RouteView
  /**
   * Where the service is not asked, or has no instance, and its canary (in `route`) answers: every request, or those
   * that are the canary's while the others are refused as it says.
   */
  readonly byCanary?: 'all' | 'some'
  /** How the route's source is doing. */
  readonly source?: SourceView | undefined
  readonly match?: Match
  /** What the house sees in the request line. */
  readonly forwardedAs?: string
  readonly auth?: {
    readonly mode: Route['auth']
    readonly scopes: readonly string[]
    /** More than the route itself asks for: the path resembles a longer prefix. */
    readonly stricter: boolean
  }
  readonly inject?: { readonly provider: string; readonly header: string; readonly configured: boolean }
  readonly timeouts?: Config['timeouts']
  readonly retries?: Retries
  readonly headers?: HeaderChanges
}

export interface ExplainOptions extends Observed {
  readonly config: Observed['config']
  readonly ownPaths: OwnPaths
  readonly settings: Pick<Config, 'timeouts' | 'tokens' | 'oauth'>
  readonly reservedHeaders: ReadonlySet<string>
}

/** Explains a request by the very functions that would lead it, without sending it. */
export type Explain = (method: string, url: string, caller: DoorState['caller']) => Explanation

export function createExplain(options: ExplainOptions): Explain {
  const { addressBook, routes, ownPaths } = options

  function explainTarget(method: string, url: string, caller: DoorState['caller']): Partial<Explanation> {
    if (!METHODS.includes(method)) {
      return refusedBy(new GatewayError('bad_request', { detail: `${method} is no method of HTTP.` }))
    }
    // It never comes to where a path is looked at.
    if (method === 'CONNECT') {
      return refusedBy(new GatewayError('method_not_allowed', { detail: 'CONNECT is not served.' }))
    }
    const { target, path } = checkTarget(url)
    const read = { path, normalized: target !== url }
    if (ownPaths.includes(path)) return { ...read, outcome: 'own' }
    try {
      checkMethod(method)
    } catch (error) {
      return { ...read, ...refusedBy(error) }
    }
    const found = routes.find(path)
    const table = addressBook.current().routes
    const route = table.find(({ prefix }) => prefix === found?.prefix)
    if (found === undefined || route === undefined) {
      const error = new GatewayError('not_found', { detail: 'No route leads on from this path.' })
      return { ...read, ...refusedBy(error), nearMisses: nearMisses(path, table) }
    }
    return { ...read, ...explainRoute(route, found, { method, target, path, caller }) }
  }

  function explainRoute(
    route: Route,
    found: ProxyRoute,
    request: { method: string; target: string; path: string; caller: DoorState['caller'] },
  ): Partial<Explanation> {
    const view = createRouteViews(options)(route)
    const match = explainMatch(request.path, addressBook.current().routes, route)
    const { timeouts, oauth } = options.settings
    const byCanary = whatCanaryAnswers(found)
    const taken = byCanary === 'all' ? found.canary!.route : found
    return {
      ...(taken.group.all.length === 0 ? refusedBy(noInstance(taken)) : { outcome: 'forwarded' }),
      route: view,
      ...(byCanary !== undefined && { byCanary }),
      source: viewSources(addressBook).find(({ source }) => source === view.source),
      match,
      forwardedAs: `${request.method} ${forwardedTarget(request.target, taken.cut)}`,
      auth: {
        mode: taken.auth,
        scopes: taken.scopes,
        stricter: match.resembles.length > 0,
      },
      ...(taken.inject !== undefined && {
        inject: {
          provider: taken.inject,
          header: oauth.tokenHeader,
          configured: oauth.providers.some(({ name }) => name === taken.inject),
        },
      }),
      timeouts: { ...timeouts, requestMs: taken.timeoutMs },
      retries: explainRetries(request.method, taken),
      headers: explainHeaders({
        ...{ reservedHeaders: options.reservedHeaders, user: userHeaders(taken) },
        ...{ timeoutText: taken.timeoutText, caller: request.caller },
      }),
    }
  }

  /** What a house is told of a caller who has said who he is. */
  function userHeaders({ auth, inject }: ProxyRoute): readonly string[] {
    if (auth === 'none') return []
    const { headers } = options.settings.tokens
    const { tokenHeader } = options.settings.oauth
    return [
      ...[headers.id, '<subject>', headers.issuer, '<issuer>', headers.scope, '<scope>'],
      ...(inject === undefined ? [] : [tokenHeader, `<token of ${inject}>`]),
    ]
  }

  return (method, url, caller) => {
    const explained = attempt(() => explainTarget(method, url, caller))
    return { method, url, outcome: 'refused', ...explained }
  }
}

/** Asks the proxy's own rule, with the luckiest draw and with the least lucky one. */
function whatCanaryAnswers(found: ProxyRoute): Explanation['byCanary'] {
  const { header } = found.canary ?? {}
  const isFor = (rawHeaders: readonly string[], drawn: number) =>
    chooseRoute(found, rawHeaders, () => drawn) !== found
  if (isFor([], 1 - Number.EPSILON)) return 'all'
  if (found.group.all.length > 0) return undefined
  return isFor(header === undefined ? [] : [header.name, header.value], 0) ? 'some' : undefined
}

function attempt(explain: () => Partial<Explanation>): Partial<Explanation> {
  try {
    return explain()
  } catch (error) {
    return refusedBy(error)
  }
}

/** Of what the gateway would answer; anything else is a fault of its own. */
function refusedBy(error: unknown): Partial<Explanation> {
  if (!(error instanceof GatewayError)) throw error
  const { status, code, detail, title } = error
  return { outcome: 'refused', refusal: { status, code, detail: detail ?? title } }
}
