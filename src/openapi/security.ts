import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import type { PublishedRoute } from './public-paths.ts'

/** The gateway's own access token, under its name among the security schemes of the gateway's document. */
export const bearerSchemeName = 'bearer'

/** A login in the reader itself, which gets the same token, where somebody can log in. */
export const loginSchemeName = 'oauth2'

type Guard = Pick<PublishedRoute, 'auth' | 'scopes'>
type Schemes = Readonly<Record<string, Json>>

/**
 * Whether a scheme is what the gateway's is: a reader has one token, and one place to put it. Scheme names know
 * no case (RFC 9110 §11.1).
 */
export function isGatewayBearer(scheme: Json | undefined): boolean {
  if (!isObject(scheme) || scheme.type !== 'http' || lowerCase(scheme.scheme) !== 'bearer') return false
  return scheme.bearerFormat === undefined || lowerCase(scheme.bearerFormat) === 'jwt'
}

/**
 * What a caller must bring to pass the gateway and be answered by the service, as OpenAPI security requirements:
 * a list of alternatives.
 *
 * @param demanded the service's own requirements, of which `bearer` is the gateway's; null where it says nothing
 * @param schemes what the names in them stand for
 */
export function guardedSecurity(guard: Guard, demanded: Json, schemes: Schemes): Json {
  if (guard.auth === 'none') return demanded
  const own = Array.isArray(demanded) && demanded.length > 0 ? (demanded as JsonObject[]) : [{}]
  const alternatives = own.flatMap((requirement): JsonObject[] => {
    const beside = withoutAuthorization(requirement, schemes)
    const guarded = { [bearerSchemeName]: withScopes(guard, requirement), ...beside }
    const demandsToken = Object.hasOwn(requirement, bearerSchemeName)
    return guard.auth === 'required' || demandsToken ? [guarded] : [guarded, beside]
  })
  const distinct = new Map(alternatives.map((alternative) => [JSON.stringify(alternative), alternative]))
  return [...distinct.values()]
}

/** Wherever the gateway's token is asked for, one that a login gives is as good. */
export function withLogin(security: Json): Json {
  if (!Array.isArray(security)) return security
  return (security as JsonObject[]).flatMap((requirement) => {
    if (!Object.hasOwn(requirement, bearerSchemeName)) return [requirement]
    const { [bearerSchemeName]: scopes, ...beside } = requirement
    return [requirement, { [loginSchemeName]: scopes!, ...beside }]
  })
}

/** Since OpenAPI 3.1 a requirement may list roles for any type of scheme: the scopes that the token must carry. */
function withScopes({ scopes }: Guard, requirement: JsonObject): Json {
  const own = Object.hasOwn(requirement, bearerSchemeName) ? requirement[bearerSchemeName] : []
  return [...new Set([...scopes, ...(Array.isArray(own) ? (own as Json[]) : [])])]
}

/** On a guarded route the Authorization header is the gateway's: what travels elsewhere can be demanded beside. */
function withoutAuthorization(requirement: JsonObject, schemes: Schemes): JsonObject {
  const entries = Object.entries(requirement).filter(([name]) => {
    const scheme = Object.hasOwn(schemes, name) ? schemes[name] : undefined
    if (!isObject(scheme)) return false
    if (scheme.type === 'apiKey')
      return !(scheme.in === 'header' && lowerCase(scheme.name) === 'authorization')
    return scheme.type === 'mutualTLS'
  })
  return Object.fromEntries(entries)
}

const lowerCase = (text: Json | undefined) => (typeof text === 'string' ? text.toLowerCase() : undefined)

/** What a guard may answer, for the merged document's components. */
export const guardResponses: JsonObject = {
  Unauthorized: refusal(
    new GatewayError('authentication_required'),
    'There is no access token (`authentication_required`), or it is not valid (`invalid_token`)',
  ),
  Forbidden: refusal(
    new GatewayError('insufficient_scope'),
    'The access token lacks a scope (`insufficient_scope`)',
  ),
}

function refusal({ status, title, code }: GatewayError, description: string): JsonObject {
  const example = {
    type: 'about:blank',
    title,
    status,
    code,
    request_id: '0199f1d2-7f3c-7d3e-9d43-2b6a4c1f0e55',
  }
  const schema = { $ref: '#/components/schemas/Problem' }
  return { description, content: { 'application/problem+json': { schema, example } } }
}

/**
 * What the guard of a route may answer beside the responses that an operation describes for these statuses, as
 * members of its Responses Object.
 */
export function guardRefusals({ auth, scopes }: Guard, described: readonly string[]): JsonObject {
  if (auth === 'none' || described.includes('4XX')) return {}
  const refusals = [['401', 'Unauthorized'], ...(scopes.length > 0 ? [['403', 'Forbidden']] : [])] as const
  const missing = refusals.filter(([status]) => !described.includes(status!))
  return Object.fromEntries(
    missing.map(([status, name]) => [status, { $ref: `#/components/responses/${name}` }]),
  )
}
