import { hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { LRUCache } from 'lru-cache'
import { GatewayError } from '../errors.ts'
import type { Exchange } from '../proxy/exchange.ts'
import type { ExchangeContext } from '../proxy/exchange-context.ts'
import type { ProxyRoute } from '../proxy/routes.ts'
import { createCounts, type ServiceCacheCounts } from './counts.ts'
import { hitText, serve } from './entry.ts'
import { createFill, type Fill } from './fill.ts'
import { createFills } from './fills.ts'
import { createFlights, type Flight } from './flights.ts'
import { createInvalidation, keyOf } from './invalidation.ts'
import { worthOf } from './policy.ts'
import { Refresh } from './refresh.ts'
import { type CacheRequest, readCacheRequest } from './request.ts'
import { conditional, selectingOf } from './request-headers.ts'
import { createStore, type Entry, type Found, type Selecting, type StoreStatus } from './store.ts'

/** One request on its way through the cache. */
interface CacheVisit {
  readonly exchange: Exchange
  readonly context: ExchangeContext
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  /** The one that was chosen; it has a cache. */
  readonly route: ProxyRoute
  /** Scheme and host that the client asked for: with the target they are the URI. */
  readonly origin: string
  /** Whether the gateway has verified who is calling. */
  readonly isIdentified: boolean
  /** Sends the request to the house. */
  readonly forward: () => Promise<void>
}

export interface ResponseCache {
  /**
   * Answers a request from the store, or forwards it and listens to the reply.
   * @throws GatewayError (or rejects with) `not_cached` (504) where the client wants nothing but what is stored
   */
  visit(visit: CacheVisit): Promise<void>
  readonly status: () => StoreStatus
  readonly counts: () => ReadonlyMap<string, ServiceCacheCounts>
}

/** A request waits for another's reply for so long at most, and for no more than half of its route's deadline. */
const longestWaitMs = 5000
/** For how long it is remembered that a reply was for one caller alone: nobody waits for the like of it. */
const unsharedMs = 10_000

/** Smaller ones are in the connection's buffers at once, whoever reads them. */
const lentBytes = 64 * 1024

/** What is known of a visit. */
interface Step {
  readonly visit: CacheVisit
  readonly asked: CacheRequest
  readonly key: string
  readonly selecting: Selecting
  /** Milliseconds, monotonic. */
  readonly waitsUntil: number
  /** Whose flight it has waited for, and found nothing for itself. */
  readonly waitedFor?: string
}

/**
 * A shared cache for the routes that ask for one, by RFC 9111; docs/caching.md has the rules. http-cache-semantics judges
 * (policy.ts), store.ts keeps.
 *
 * @param sizeBytes of all that is kept
 */
export function createResponseCache(sizeBytes: number): ResponseCache {
  const store = createStore(sizeBytes)
  const flights = createFlights()
  const fills = createFills()
  const unshared = new LRUCache<string, true>({ max: 10_000, ttl: unsharedMs })
  const invalidation = createInvalidation({ store, fills })
  const counts = createCounts()

  function go(step: Step): Promise<void> {
    const { visit, asked, key, selecting } = step
    const found = store.find(key, selecting)
    const entry = mayHave(asked, found.entry) ? found.entry : undefined
    const worth = entry === undefined ? 'stale' : worthOf(entry.permit, asked.directives)
    if (entry !== undefined && worth !== 'stale') {
      if (worth !== 'fresh') refresh(step, entry, found)
      return answerAtOnce(step, entry, worth !== 'fresh')
    }
    if (asked.onlyIfCached) {
      throw new GatewayError('not_cached', { detail: 'Nothing that is stored here answers this request.' })
    }
    const flightKey = flightKeyOf(step, found)
    if (flightKey === undefined) return ask(step, entry, found, undefined)
    if (flights.isOnItsWay(flightKey)) {
      const leftMs = step.waitsUntil - performance.now()
      if (step.waitedFor === flightKey || leftMs <= 0) return ask(step, entry, found, undefined)
      return flights.wait(flightKey, leftMs, visit.outgoing).then((landing) => {
        checkPresence(visit)
        if (landing === 'stored') return go({ ...step, waitedFor: flightKey })
        return landing === 'again' ? go(step) : ask(step, entry, found, undefined)
      })
    }
    // To conditions of the client's own most likely a 304 comes, which is for nobody else.
    const isConditional = asked.ifNoneMatch !== undefined || asked.ifModifiedSince !== undefined
    const leads = entry !== undefined || !isConditional
    return ask(step, entry, found, leads ? flights.begin(flightKey) : undefined)
  }

  function answerAtOnce({ visit, asked, waitedFor }: Step, entry: Entry, isStale: boolean): Promise<void> {
    const { exchange, route } = visit
    const result = isStale ? 'stale' : waitedFor === undefined ? 'hit' : 'collapsed'
    exchange.cacheStatus = result
    counts.answered(route.service, result)
    const text = result === 'collapsed' ? 'fwd=miss; collapsed' : hitText(entry)
    return exchange.finished(() => give(visit, asked, entry, text))
  }

  /** A body that is not taken at once is lent: put out meanwhile, it would stay in memory, and nobody would count it. */
  function give(
    { exchange, outgoing }: CacheVisit,
    asked: CacheRequest,
    entry: Entry,
    text: string,
    head?: readonly string[],
  ): void {
    serve(exchange, asked, entry, text, head)
    const { body } = entry
    if (body.length < lentBytes || outgoing.writableFinished || outgoing.destroyed) return
    store.lend(body)
    outgoing.once('close', () => store.takeBack(body))
  }

  /** Those that may be answered by one another's replies; undefined for one that goes by itself. */
  function flightKeyOf({ asked, key }: Step, found: Found): string | undefined {
    if (asked.method !== 'GET' || asked.noStore || asked.directives !== undefined) return undefined
    return unshared.has(digest(asked, key)) ? undefined : digest(asked, found.key)
  }

  /** Asks the house, under the conditions of the stored reply where there is one. */
  function ask(
    step: Step,
    entry: Entry | undefined,
    found: Found,
    flight: Flight | undefined,
  ): Promise<void> {
    const { visit, asked } = step
    const { exchange, route } = visit
    const stale = asked.method === 'GET' && !asked.noStore ? entry : undefined
    const reason = entry === undefined ? missOf(found) : asked.directives === undefined ? 'stale' : 'request'
    if (stale !== undefined) exchange.prepared = conditional(exchange.prepare(), stale)
    exchange.cacheStatus = 'miss'
    exchange.recorder = fillFor(step, {
      ...{ reason, stale, flight },
      isOfService: () => exchange.route?.service === route.service,
      serve(stored, text, result, head) {
        exchange.cacheStatus = result
        give(visit, asked, stored, text, head)
      },
      over: () => counts.answered(route.service, exchange.cacheStatus ?? 'miss'),
    })
    return visit.forward()
  }

  /** Behind the client's back, and one at a time: who comes meanwhile is given the stale reply as well. */
  function refresh(step: Step, entry: Entry, found: Found): void {
    const { exchange, context, incoming, route } = step.visit
    const flight = step.asked.method === 'GET' ? flights.begin(digest(step.asked, found.key)) : undefined
    if (flight === undefined) return
    const refreshing: Refresh = new Refresh(
      context,
      incoming,
      fillFor(step, {
        ...{ reason: 'stale', stale: entry, flight },
        isOfService: () => refreshing.route?.service === route.service,
        serve() {},
        over() {},
      }),
    )
    refreshing.start(route, conditional(exchange.prepare(), entry).headers)
  }

  function fillFor(
    { visit: { route, context }, asked, key, selecting }: Step,
    options: Pick<Parameters<typeof createFill>[0], 'reason' | 'stale' | 'isOfService' | 'serve' | 'over'> & {
      readonly flight: Flight | undefined
    },
  ): Fill {
    const fill: Fill = createFill({
      ...{ store, key, selecting, ...options },
      isCredentialed: asked.isCredentialed,
      mayStore: asked.method === 'GET' && !asked.noStore,
      defaultSeconds: route.cache?.defaultSeconds ?? 0,
      isCorsOurs: context.amendReply !== undefined,
      landed(landing) {
        if (landing === 'unshared' && options.flight !== undefined) unshared.set(digest(asked, key), true)
        options.flight?.land(landing)
      },
      onStored: () => counts.stored(route.service),
      over() {
        fills.remove(key, fill)
        options.over()
      },
    })
    fills.add(key, fill)
    return fill
  }

  return {
    visit(visit) {
      const { exchange, incoming, route, origin } = visit
      const asked = readCacheRequest(incoming.method ?? 'GET', incoming.rawHeaders, visit.isIdentified)
      if (typeof asked === 'string') {
        exchange.recorder = invalidation.recorder(asked, {
          ...{ route, origin, target: exchange.url },
          wasSent: () => exchange.sent > 0,
        })
        exchange.cacheStatus = 'bypass'
        counts.answered(route.service, 'bypass')
        return visit.forward()
      }
      return go({
        ...{ visit, asked },
        key: keyOf(route, origin, exchange.url),
        selecting: selectingOf(exchange),
        waitsUntil: performance.now() + Math.min(longestWaitMs, route.timeoutMs / 2),
      })
    },
    status: store.status,
    counts: counts.byService,
  }
}

/** Who shows who he is gets what the house says is for everybody, and nothing else. */
const mayHave = ({ isCredentialed }: CacheRequest, entry: Entry | undefined) =>
  !isCredentialed || entry?.permit.isShared === true

/** Who shows who he is and who does not never wait for each other. */
const digest = ({ isCredentialed }: CacheRequest, key: string) =>
  hash('sha256', `${isCredentialed ? 'credentials' : 'none'}\n${key}`, 'base64')

const missOf = ({ entry, varies }: Found) =>
  entry !== undefined ? 'miss' : varies ? 'vary-miss' : 'uri-miss'

function checkPresence({ outgoing, exchange }: CacheVisit): void {
  if (!outgoing.destroyed) return
  exchange.failure = new GatewayError('client_closed_request')
  throw exchange.failure
}
