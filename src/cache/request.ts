import { plainName } from '../proxy/headers.ts'
import { type Directives, parseCacheControl } from './cache-control.ts'

/** What a request asks of a cache. */
export interface CacheRequest {
  readonly method: 'GET' | 'HEAD'
  /** Of Cache-Control, as far as they say how new a reply is to be; undefined where nothing does. */
  readonly directives: Directives | undefined
  readonly noStore: boolean
  readonly onlyIfCached: boolean
  /** It shows who is asking. */
  readonly isCredentialed: boolean
  readonly ifNoneMatch: string | undefined
  readonly ifModifiedSince: string | undefined
}

/** Why a request is none of the cache's business, by RFC 9211 §2.2: `method` where it may change what is stored. */
export type NoCacheRequest = 'method' | 'bypass'

/**
 * Passed on untouched. What is asked for is a part (ranges), or depends on a condition that only the house can judge
 * (RFC 9111 §4.3.2), or the URI, its host, its scheme or the method is said a second time, in a way that some frameworks
 * hear and no cache does: under these names one caller could have another resource stored as this one.
 */
const passing = new Set([
  'range',
  'if-range',
  'if-match',
  'if-unmodified-since',
  'x-original-url',
  'x-original-uri',
  'x-original-host',
  'x-rewrite-url',
  'x-host',
  'x-http-host-override',
  'x-url-scheme',
  'x-scheme',
  'front-end-https',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
])

/**
 * Who is asking, in the names that are usual: Authorization, Cookie, X-Auth-Token, X-Auth-Request-Email, Private-Token,
 * ApiKey, Ocp-Apim-Subscription-Key, X-Session-Id, Remote-User, Cf-Access-Jwt-Assertion. A house that goes by another must
 * say so in Vary.
 */
const credential =
  /^x-auth|(?:^|-)(?:authorization|cookie|auth|jwt|assertion|secret|user|\w*token|\w*key|session(?:-id)?)$/

/** RFC 9110 §9.2.1 */
const safe = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** What says how new a reply is to be. Of `max-stale` nothing is heard: no caller gets stale replies by asking. */
const heard = ['no-cache', 'max-age', 'min-fresh']

/**
 * @param rawHeaders name, value, name, value …
 * @param isIdentified whether the gateway itself knows who is calling
 */
export function readCacheRequest(
  method: string,
  rawHeaders: readonly string[],
  isIdentified: boolean,
): CacheRequest | NoCacheRequest {
  if (method !== 'GET' && method !== 'HEAD') return safe.has(method) ? 'bypass' : 'method'
  let isCredentialed = isIdentified
  let cacheControl: string | undefined
  let pragma: string | undefined
  let ifNoneMatch: string | undefined
  let ifModifiedSince: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = plainName(rawHeaders[i]!.toLowerCase())
    const value = rawHeaders[i + 1]!
    if (name === 'cache-control') cacheControl = joined(cacheControl, value)
    else if (name === 'pragma') pragma = joined(pragma, value)
    else if (name === 'if-none-match') ifNoneMatch = joined(ifNoneMatch, value)
    else if (name === 'if-modified-since') ifModifiedSince = joined(ifModifiedSince, value)
    else if (credential.test(name)) isCredentialed = true
    else if (passing.has(name)) return 'bypass'
    // A body with GET: what it says is in no key.
    else if (name === 'transfer-encoding' || (name === 'content-length' && value !== '0')) return 'bypass'
  }
  const said = parseCacheControl(cacheControl ?? (/no-cache/i.test(pragma ?? '') ? 'no-cache' : undefined))
  return {
    method,
    directives: freshnessOf(said),
    noStore: said.has('no-store'),
    onlyIfCached: said.has('only-if-cached'),
    isCredentialed,
    ifNoneMatch,
    ifModifiedSince,
  }
}

const joined = (known: string | undefined, value: string) =>
  known === undefined ? value : `${known}, ${value}`

function freshnessOf(said: Directives): Directives | undefined {
  if (said.size === 0) return undefined
  const freshness = new Map([...said].filter(([name]) => heard.includes(name)))
  // Nothing is younger than that.
  if (freshness.get('max-age') === '0') freshness.set('no-cache', true)
  return freshness.size === 0 ? undefined : freshness
}
