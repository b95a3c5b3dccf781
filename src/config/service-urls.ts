import type { Environment } from '../discovery/source.ts'
import { joinWeight, mostWeight, splitWeight } from '../discovery/weighted-url.ts'
import { type Fault, shown } from './fault.ts'

/** A URL that cannot be used, and what was expected instead. */
export interface UrlProblem {
  readonly found: string
  readonly expected: string
}

const schemes = 'http://host:port, https://host:port, host:port or srv+http://_http._tcp.name'
// RFC 3986 §3.2.2's reg-name as far as DNS goes, with the underscores of SRV owner names (RFC 2782).
const hostName = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/

/**
 * Reads the places of one service's instances: URLs separated by commas, each absolute and without a path, and each
 * with a weight if it has one (`http://localhost:8001; weight=3`). Gives them normalised, in the order written.
 */
export function parseServiceUrls(text: string): { urls: readonly string[]; problems: readonly UrlProblem[] } {
  const urls: string[] = []
  const problems: UrlProblem[] = []
  // Before the commas are looked at: a password may hold one.
  if (text.includes('@')) {
    return {
      urls,
      problems: [{ found: 'user information (not shown)', expected: 'URLs without user information' }],
    }
  }
  const named = new Set<string>()
  for (const item of text.split(',').map((part) => part.trim())) {
    const weighted = splitWeight(item)
    if (weighted === undefined) {
      const expected = `a weight from 0 to ${mostWeight} and nothing else after the URL, as in http://localhost:8001; weight=3`
      problems.push({ found: shown(item), expected })
      continue
    }
    const result = parseServiceUrl(weighted.url)
    if ('expected' in result) problems.push(result)
    else if (named.has(result.url))
      problems.push({ found: `${shown(item)} twice`, expected: 'each instance once' })
    else {
      named.add(result.url)
      urls.push(joinWeight({ ...weighted, url: result.url }))
    }
  }
  return { urls, problems }
}

function parseServiceUrl(text: string): { url: string } | UrlProblem {
  const fail = (expected: string) => ({ found: shown(text), expected })
  if (text === '') return { found: 'an empty item', expected: schemes }
  const withScheme = /^[^/?#\s]+:\d+\/?$/.test(text) ? `http://${text}` : text
  const [, scheme, authority, rest] = /^([a-z+]+):\/\/([^/?#]*)(.*)$/i.exec(withScheme) ?? []
  if (scheme === undefined || authority === undefined) return fail(schemes)
  if (rest !== '' && rest !== '/') return fail('a URL without a path, query or fragment')
  if (/^srv\+https?$/i.test(scheme)) {
    if (authority.includes(':')) return fail('a name without a port: SRV records have the port')
    if (!hostName.test(authority)) return fail('the name of an SRV record, such as _http._tcp.name')
    return { url: `${scheme}://${authority}`.toLowerCase() }
  }
  if (!/^https?$/i.test(scheme)) return fail(schemes)
  const url = URL.parse(`${scheme}://${authority}`)
  if (url === null || !(url.hostname.startsWith('[') || hostName.test(url.hostname))) return fail(schemes)
  if (url.port === '0') return fail('a port from 1 to 65535')
  return { url: url.origin }
}

/** `USER_PROFILE_SERVICE_URL` for `user-profile`. */
export function serviceVariable(service: string): string {
  return `${service.replace(/[^A-Za-z0-9]+/g, '_').toUpperCase()}_SERVICE_URL`
}

export interface ServiceUrls {
  readonly urls: ReadonlyMap<string, readonly string[]>
  /** Which variable each service's come from, for the faults that a source finds with them. */
  readonly origins: ReadonlyMap<string, Pick<Fault, 'place' | 'found'>>
  readonly faults: readonly Fault[]
}

/**
 * Reads every `<NAME>_SERVICE_URL`: AUTH_SERVICE_URL is service `auth`, USER_PROFILE_SERVICE_URL is
 * `user-profile`, unless `known` (the names in gateway.yaml) spells that variable another way.
 */
export function readServiceUrls(environment: Environment, known: readonly string[]): ServiceUrls {
  const spelling = new Map(known.map((service) => [serviceVariable(service), service]))
  const urls = new Map<string, readonly string[]>()
  const origins = new Map<string, Pick<Fault, 'place' | 'found'>>()
  const faults: Fault[] = []
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !/_SERVICE_URL$/i.test(variable)) continue
    const place = { variable }
    const [, name] = /^([A-Z0-9]+(?:_[A-Z0-9]+)*)_SERVICE_URL$/.exec(variable) ?? []
    if (name === undefined) {
      const expected = 'capitals, digits and single underscores, such as USER_PROFILE_SERVICE_URL'
      faults.push({ place, found: 'a name that stands for no service', expected })
      continue
    }
    const result = parseServiceUrls(text)
    faults.push(...result.problems.map((problem) => ({ place, ...problem })))
    const usual = name.toLowerCase().replaceAll('_', '-')
    const service = known.includes(usual) ? usual : (spelling.get(variable) ?? usual)
    if (result.urls.length === 0) continue
    urls.set(service, result.urls)
    origins.set(service, { place, found: shown(text) })
  }
  return { urls, origins, faults }
}
