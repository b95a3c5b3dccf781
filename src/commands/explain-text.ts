import type { Explanation } from '../admin/explain.ts'
import { budget, ejection, limit, slowStart } from './explain-health-text.ts'
import { rate } from './explain-rate-text.ts'
import { instanceLines, sourceLine } from './routes.ts'
import { alignColumns, spokenDuration } from './text-table.ts'

/** An explanation for people: a topic in front, what there is to say of it behind. */
export function explanationText(explanation: Explanation): string[] {
  const { method, url, outcome } = explanation
  const topics: [topic: string, lines: readonly string[]][] = [
    ['request', [`${method} ${url}`]],
    ['answer', [answer(explanation)]],
    ['path', outcome === 'refused' && explanation.path === undefined ? [] : path(explanation)],
    ['route', route(explanation)],
    ['strip', strip(explanation)],
    ['auth', auth(explanation)],
    ['inject', inject(explanation)],
    ['cache', cache(explanation)],
    ['instances', instances(explanation)],
    ['canary', canary(explanation)],
    ['mirror', mirror(explanation)],
    ['timeouts', timeouts(explanation)],
    ['retries', retries(explanation)],
    ['ejection', ejection(explanation.route)],
    ['slow start', slowStart(explanation.route)],
    ['limit', limit(explanation.route)],
    ['rate', rate(explanation.route)],
    ['settings', settings(explanation)],
    ['removed', explanation.headers === undefined ? [] : inLines(explanation.headers.removed)],
    ['added', explanation.headers?.added ?? []],
  ]
  return alignColumns(
    topics.flatMap(([topic, lines]) => lines.map((line, index) => [index === 0 ? topic : '', line])),
  )
}

function answer({ outcome, refusal, route, byCanary }: Explanation): string {
  if (outcome === 'own') return "the gateway's own: no house hears of it"
  const canary = route?.canary?.service
  if (refusal !== undefined) {
    const refused = `${refusal.status} ${refusal.code}: ${refusal.detail}`
    return byCanary === undefined
      ? refused
      : `${refused} But some requests are forwarded to its canary, ${canary}`
  }
  return byCanary === undefined ? `forwarded to ${route?.service}` : `forwarded to ${canary}, its canary`
}

const path = ({ path, normalized }: Explanation) =>
  path === undefined ? [] : [normalized ? `${path} (put into its one form)` : `${path} (as it was sent)`]

function route({ route, source, match, nearMisses }: Explanation): string[] {
  if (route === undefined) {
    return nearMisses?.length ? [`none; similar: ${prefixes(nearMisses)}`] : nearMisses ? ['none'] : []
  }
  const { shorter = [], longer = [] } = match ?? {}
  const held = { named: [], held: ['its last known instances are kept: the source names none now'] }
  return [
    `${route.prefix} → ${route.service}, the longest prefix that the path is under`,
    ...(shorter.length > 0 ? [`shorter: ${prefixes(shorter)}`] : []),
    ...(longer.length > 0 ? [`longer, but the path is not under it: ${prefixes(longer)}`] : []),
    ...(source === undefined ? [] : [sourceLine(source)]),
    ...(route.provenance === 'vanished'
      ? ['no source names the service any more']
      : held[route.provenance ?? 'named']),
  ]
}

const prefixes = (rivals: readonly { prefix: string; service: string }[]) =>
  rivals.map(({ prefix, service }) => `${prefix} (${service})`).join(', ')

function strip({ route, forwardedAs }: Explanation): string[] {
  if (route === undefined || forwardedAs === undefined) return []
  const cut = route.strip === '' ? 'nothing' : route.strip
  return [`${cut}: the house sees ${forwardedAs}`]
}

function auth({ auth, match }: Explanation): string[] {
  if (auth === undefined) return []
  const scopes = auth.mode === 'none' || auth.scopes.length === 0 ? '' : `, scope ${auth.scopes.join(' ')}`
  const meaning = {
    none: 'nobody is asked who he is',
    optional: 'who brings a token is checked, who brings none may pass',
    required: 'an access token is asked for',
  }[auth.mode]
  const line = `${auth.mode}${scopes}: ${meaning}`
  return auth.stricter
    ? [line, `stricter than its route, as the path resembles ${prefixes(match?.resembles ?? [])}`]
    : [line]
}

function inject({ inject }: Explanation): string[] {
  if (inject === undefined) return []
  const { provider, header, configured } = inject
  const line = `the caller's own token of ${provider}, as ${header}`
  return [configured ? line : `${line}; but ${provider} is not configured: who brings a token is refused`]
}

function cache({ route, method }: Explanation): string[] {
  if (route?.cache === undefined) return []
  const { defaultSeconds } = route.cache
  const silent =
    defaultSeconds === 0
      ? 'those that do not say for how long are not kept fresh'
      : `those that do not say for how long are fresh for ${spokenDuration(defaultSeconds * 1000)}`
  const asked = method === 'GET' || method === 'HEAD' ? '' : `; a ${method} is always forwarded`
  return [`replies are stored as they permit; ${silent}${asked}`]
}

function instances({ route }: Explanation): string[] {
  if (route === undefined) return []
  if (route.instances.length === 0) return ['none']
  const usable = route.instances.filter((instance) => instance.usable).length
  return [
    `${usable} of ${route.instances.length} come into question, by ${route.balance}`,
    ...instanceLines(route.instances, ''),
  ]
}

function canary({ route }: Explanation): string[] {
  if (route?.canary === undefined) return []
  const { percent, header, service, instances } = route.canary
  const whose = header === undefined ? '' : `, and those with ${header.name}: ${header.value},`
  return [
    `${percent} % of the requests${whose} are answered by ${service}`,
    ...(instances.length === 0 ? ['none, since it has no instance'] : instanceLines(instances, '')),
  ]
}

function mirror({ route }: Explanation): string[] {
  if (route?.mirror === undefined) return []
  const { percent, service, addresses } = route.mirror
  return [`${percent} % of the requests are copied to ${service} (${addresses.join(', ') || 'no instance'})`]
}

function timeouts({ timeouts }: Explanation): string[] {
  if (timeouts === undefined) return []
  const { connectMs, requestMs, idleMs } = timeouts
  return [
    `connection ${spokenDuration(connectMs)}, reply ${spokenDuration(requestMs)}, silence in a body ${spokenDuration(idleMs)}`,
  ]
}

function retries({ retries, method, route }: Explanation): string[] {
  if (retries === undefined) return []
  const { notSent, reset, resetWithBody } = retries
  const broken =
    reset === 0 && resetWithBody === 0
      ? `none once it was sent${route?.retries === 0 ? '' : `: a ${method} may have been acted on`}`
      : `${reset} where the connection broke before a reply; with a body ${resetWithBody}`
  const spent = notSent === 0 && reset === 0 ? [] : budget(route)
  return [`${notSent} where no connection came about: it was not sent`, broken, ...spent]
}

/** What is said by no topic above. */
const told = new Set([
  ...['prefix', 'service', 'source', 'provenance', 'strip', 'auth', 'scopes', 'inject', 'openapi', 'cache'],
  ...['timeoutMs', 'retries', 'retryBudget', 'balance', 'instances', 'canary', 'mirror'],
  ...['health', 'concurrency', 'rate'],
])

/** What else the route says, whatever it may come to say, each under its own name. */
function settings({ route = {} as NonNullable<Explanation['route']> }: Explanation): string[] {
  const others = Object.entries(route).filter(([name, value]) => !told.has(name) && value !== undefined)
  return inLines(others.flatMap(([name, value]) => flattened(name, value)))
}

function flattened(name: string, value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [`${name} ${String(value)}`]
  return Object.entries(value).flatMap(([key, inner]) => flattened(Array.isArray(value) ? name : key, inner))
}

/** A list that goes on in the next line before it becomes too long. */
function inLines(items: readonly string[], most = 90): string[] {
  const lines: string[] = []
  for (const item of items) {
    const last = lines.at(-1)
    if (last === undefined || last.length + item.length > most) lines.push(item)
    else lines[lines.length - 1] = `${last}, ${item}`
  }
  return lines
}
