import test from 'ava'
import { cachedHouse, type Told, tell } from '../support/cached-house.ts'
import type { RequestOptions } from '../support/request.ts'
import { until } from '../support/until.ts'

/**
 * What becomes of the second of two requests for one URI, by what the house said to the first: RFC 9111's rules, one
 * after the other, in a table. The house says how old its reply is (Age), so that nothing has to be waited for.
 *
 * stored: the house is not asked. revalidated: it is asked whether the first reply is still good, and it is.
 * forwarded: it is asked as if nothing were stored. stale: the first reply is given though its time is over.
 */
type Outcome = 'stored' | 'revalidated' | 'forwarded' | 'stale'

interface Case {
  readonly is: Outcome
  /** The house's reply to the first request. */
  readonly reply?: NonNullable<Told['headers']>
  readonly status?: number
  /** Headers of both requests, of the first, of the second. */
  readonly both?: NonNullable<RequestOptions['headers']>
  readonly first?: NonNullable<RequestOptions['headers']>
  readonly second?: NonNullable<RequestOptions['headers']>
  readonly method?: string
  /** The house's second reply, where it is asked without a condition that holds. */
  readonly afterwards?: Told
  /** Of the route. */
  readonly cache?: string | false
}

const etag = '"v1"'
const modified = 'Mon, 01 Jan 2024 00:00:00 GMT'
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toUTCString()
const inFuture = (seconds: number) => ago(-seconds)
const unavailable = { status: 503 }

const cases: Readonly<Record<string, Case>> = {
  // The route's own lifetime
  'a reply that says nothing is fresh for as long as the route says': { is: 'stored' },
  'a reply that says nothing and is older than the route says': { is: 'forwarded', reply: { age: 31 } },
  'a reply that says nothing, with a validator, older than that': {
    is: 'revalidated',
    reply: { age: 31, etag },
  },
  'a reply that says only public': { is: 'stored', reply: { 'cache-control': 'public' } },
  'a reply that says nothing on a route with 0s': { is: 'forwarded', cache: '0s' },
  'a reply that says nothing but its date of change on a route with 0s: nothing is guessed': {
    is: 'revalidated',
    cache: '0s',
    reply: { 'last-modified': modified },
  },
  'a reply that is immutable and says no lifetime on a route with 0s': {
    is: 'revalidated',
    cache: '0s',
    reply: { 'cache-control': 'immutable', etag },
  },
  'a reply with a lifetime on a route with 0s': {
    is: 'stored',
    cache: '0s',
    reply: { 'cache-control': 'max-age=60' },
  },
  'a reply with a lifetime on a route without a cache': {
    is: 'forwarded',
    cache: false,
    reply: { 'cache-control': 'max-age=60' },
  },
  'a 404 that says nothing': { is: 'forwarded', status: 404 },
  'a 410 that says nothing': { is: 'forwarded', status: 410 },
  'a 500 that says nothing': { is: 'forwarded', status: 500 },
  'a 302 that says nothing': { is: 'forwarded', status: 302, reply: { location: '/' } },
  'a 301 that says nothing': { is: 'stored', status: 301, reply: { location: '/' } },
  'a 204 that says nothing': { is: 'stored', status: 204 },

  // Storing: RFC 9111 §3
  'no-store': { is: 'forwarded', reply: { 'cache-control': 'no-store', etag } },
  'No-Store, in whatever case': { is: 'forwarded', reply: { 'cache-control': 'max-age=60, No-Store', etag } },
  'no-store in a header of its own': {
    is: 'forwarded',
    reply: { 'cache-control': ['max-age=60', 'no-store'], etag },
  },
  'no-store within a quoted string is none': {
    is: 'stored',
    reply: { 'cache-control': 'x="a, no-store", max-age=60' },
  },
  private: { is: 'forwarded', reply: { 'cache-control': 'private, max-age=60', etag } },
  'private with names of headers': {
    is: 'forwarded',
    reply: { 'cache-control': 'private="x-a, x-b", max-age=60' },
  },
  'private beside public': { is: 'forwarded', reply: { 'cache-control': 'public, private, max-age=60' } },
  'Set-Cookie': {
    is: 'forwarded',
    reply: { 'cache-control': 'public, max-age=60', 'set-cookie': 'a=b', etag },
  },
  'no-store by the first request': { is: 'forwarded', first: { 'cache-control': 'no-store' } },
  'a 404 with a lifetime': { is: 'stored', status: 404, reply: { 'cache-control': 'max-age=60' } },
  'a 302 with a lifetime': {
    is: 'stored',
    status: 302,
    reply: { 'cache-control': 'max-age=60', location: '/' },
  },
  'a 206, which nobody asked for': {
    is: 'forwarded',
    status: 206,
    reply: { 'cache-control': 'max-age=60', 'content-range': 'bytes 0-4/9' },
  },
  'a 500 with a lifetime': { is: 'forwarded', status: 500, reply: { 'cache-control': 'max-age=60' } },
  'a status that no cache knows': { is: 'forwarded', status: 299, reply: { 'cache-control': 'max-age=60' } },
  'a body that nothing but the end of the connection ends': {
    is: 'forwarded',
    reply: { 'cache-control': 'max-age=60', 'transfer-encoding': '', connection: 'close' },
  },

  // Freshness: §4.2
  'max-age': { is: 'stored', reply: { 'cache-control': 'max-age=60', age: 59 - 5 } },
  'Max-Age, in whatever case': { is: 'stored', reply: { 'cache-control': 'Max-Age=60', age: 40 } },
  'max-age in quotes': { is: 'stored', reply: { 'cache-control': 'max-age="60"', age: 40 } },
  'max-age that has passed': { is: 'forwarded', reply: { 'cache-control': 'max-age=60', age: 60 } },
  'max-age that has passed, with ETag': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60', age: 60, etag },
  },
  'max-age that has passed, with Last-Modified': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60', age: 60, 'last-modified': modified },
  },
  'max-age=0 with ETag': { is: 'revalidated', reply: { 'cache-control': 'max-age=0', etag } },
  'max-age that is no number': { is: 'revalidated', reply: { 'cache-control': 'max-age=soon', etag } },
  'max-age below 0': { is: 'revalidated', reply: { 'cache-control': 'max-age=-1', etag } },
  'two max-age: the least holds': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=1, max-age=600', age: 5, etag },
  },
  's-maxage wins over max-age': {
    is: 'stored',
    reply: { 'cache-control': 'max-age=1, s-maxage=60', age: 40 },
  },
  's-maxage=0 wins over max-age': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60, s-maxage=0', etag },
  },
  'Expires to come': { is: 'stored', reply: { expires: inFuture(60) } },
  'Expires that has passed': { is: 'revalidated', reply: { expires: ago(60), etag } },
  'Expires that is no date': { is: 'revalidated', reply: { expires: '0', etag } },
  'Expires that is a number, as if it were max-age': {
    is: 'revalidated',
    reply: { expires: '3600', etag },
  },
  'an age larger than any': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60', age: '99999999999', etag },
  },
  'a lifetime longer than any': { is: 'stored', reply: { 'cache-control': `max-age=${'9'.repeat(400)}` } },
  'private without a comma in front': {
    is: 'forwarded',
    reply: { 'cache-control': 'public, max-age=60 private' },
  },
  'private behind a semicolon': { is: 'forwarded', reply: { 'cache-control': 'public; private', etag } },
  'Vary that names nothing by which one could select': {
    is: 'forwarded',
    reply: { vary: 'X-Kind; X-Other', etag },
  },
  'Vary with * among other things': { is: 'forwarded', reply: { vary: 'X-Kind *', etag } },
  'Vary in two headers': {
    is: 'forwarded',
    reply: { vary: ['Accept', 'X-Kind'] },
    first: { 'x-kind': 'a' },
    second: { 'x-kind': 'b' },
  },
  'a reply that lets in another origin, and does not say that it varies': {
    is: 'forwarded',
    reply: { 'access-control-allow-origin': 'https://a.example' },
    first: { origin: 'https://a.example' },
    second: { origin: 'https://b.example' },
  },
  'a reply that lets in every origin': {
    is: 'stored',
    reply: { 'access-control-allow-origin': '*' },
    first: { origin: 'https://a.example' },
    second: { origin: 'https://b.example' },
  },
  'max-age wins over Expires': {
    is: 'stored',
    reply: { 'cache-control': 'max-age=60', expires: ago(60) },
  },
  'the date tells that the reply is old': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60', date: ago(100), etag },
  },
  'Age that is no number': { is: 'stored', reply: { 'cache-control': 'max-age=60', age: 'old' } },
  'Age below 0 makes nobody younger': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60', age: -500, date: ago(100), etag },
  },
  'no-cache': { is: 'revalidated', reply: { 'cache-control': 'no-cache, max-age=60', etag } },
  'no-cache with names of headers': {
    is: 'revalidated',
    reply: { 'cache-control': 'no-cache="set-cookie", max-age=60', etag },
  },
  'no-cache without a validator': { is: 'forwarded', reply: { 'cache-control': 'no-cache, max-age=60' } },
  'Pragma: no-cache': { is: 'revalidated', reply: { pragma: 'no-cache', etag } },
  'Pragma: no-cache beside Cache-Control': {
    is: 'stored',
    reply: { pragma: 'no-cache', 'cache-control': 'max-age=60' },
  },
  'must-revalidate while fresh': { is: 'stored', reply: { 'cache-control': 'max-age=60, must-revalidate' } },
  'must-revalidate once stale': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60, must-revalidate', age: 70, etag },
  },
  'proxy-revalidate while fresh': {
    is: 'stored',
    reply: { 'cache-control': 'max-age=60, proxy-revalidate' },
  },

  // What the request asks for: §5.2.1
  'a request with no-cache': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60', etag },
    second: { 'cache-control': 'no-cache' },
  },
  'a request with Pragma: no-cache': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60', etag },
    second: { pragma: 'no-cache' },
  },
  'a request with max-age=0': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60', etag },
    second: { 'cache-control': 'max-age=0' },
  },
  'a request with a max-age below the age': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60', age: 20, etag },
    second: { 'cache-control': 'max-age=10' },
  },
  'a request with a max-age above the age': {
    is: 'stored',
    reply: { 'cache-control': 'max-age=60', age: 20, etag },
    second: { 'cache-control': 'max-age=50' },
  },
  'a request with min-fresh beyond what is left': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60', age: 20, etag },
    second: { 'cache-control': 'min-fresh=50' },
  },
  'a request with max-stale gets nothing that is stale': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60', age: 70, etag },
    second: { 'cache-control': 'max-stale=600' },
  },
  'a request with no-store may be answered from the store': {
    is: 'stored',
    second: { 'cache-control': 'no-store' },
  },
  'a request with only-if-cached': { is: 'stored', second: { 'cache-control': 'only-if-cached' } },

  // Vary: §4.1
  'Vary on a header that is the same': {
    is: 'stored',
    reply: { vary: 'Accept-Language' },
    both: { 'accept-language': 'ko' },
  },
  'Vary on a header that differs': {
    is: 'forwarded',
    reply: { vary: 'accept-language', etag },
    first: { 'accept-language': 'ko' },
    second: { 'accept-language': 'en' },
  },
  'Vary on a header that is not there any more': {
    is: 'forwarded',
    reply: { vary: 'Accept-Language' },
    first: { 'accept-language': 'ko' },
  },
  'Vary on a header that was not there and is not': { is: 'stored', reply: { vary: 'Accept-Language' } },
  'Vary on a list that differs in its blanks alone': {
    is: 'stored',
    reply: { vary: 'Accept-Encoding' },
    first: { 'accept-encoding': 'gzip, br' },
    second: { 'accept-encoding': 'gzip,br' },
  },
  'Vary on two headers of which one differs': {
    is: 'forwarded',
    reply: { vary: ['Accept-Language', 'X-Tenant'] },
    first: { 'accept-language': 'ko', 'x-tenant': 'a' },
    second: { 'accept-language': 'ko', 'x-tenant': 'b' },
  },
  'Vary: *': { is: 'forwarded', reply: { vary: '*', 'cache-control': 'max-age=60', etag } },
  'Vary with * among others': {
    is: 'forwarded',
    reply: { vary: 'Accept, *', 'cache-control': 'max-age=60' },
  },
  'a compressed body whose house forgot to vary, for another Accept-Encoding': {
    is: 'forwarded',
    reply: { 'content-encoding': 'gzip', 'cache-control': 'max-age=60' },
    first: { 'accept-encoding': 'gzip' },
  },
  'a header that the house does not vary by': {
    is: 'stored',
    first: { 'accept-language': 'ko' },
    second: { 'accept-language': 'en' },
  },

  // Callers who show who they are: §3.5, and cookies
  'Authorization, and a reply that says max-age': {
    is: 'forwarded',
    reply: { 'cache-control': 'max-age=60', etag },
    both: { authorization: 'Basic YTpi' },
  },
  'Authorization, and a reply that says must-revalidate': {
    is: 'forwarded',
    reply: { 'cache-control': 'max-age=60, must-revalidate', etag },
    both: { authorization: 'Basic YTpi' },
  },
  'Authorization, and a reply that says public': {
    is: 'stored',
    reply: { 'cache-control': 'public, max-age=60' },
    both: { authorization: 'Basic YTpi' },
  },
  'Authorization, and a reply that says s-maxage': {
    is: 'stored',
    reply: { 'cache-control': 's-maxage=60' },
    both: { authorization: 'Basic YTpi' },
  },
  'a reply to nobody in particular is not for who shows who he is': {
    is: 'forwarded',
    reply: { 'cache-control': 'max-age=60', etag },
    second: { authorization: 'Basic YTpi' },
  },
  'a reply to who shows who he is is not for anybody else': {
    is: 'forwarded',
    reply: { 'cache-control': 'max-age=60', etag },
    first: { authorization: 'Basic YTpi' },
  },
  'a cookie, and a reply that says nothing': { is: 'forwarded', both: { cookie: 'session=1' } },
  'a cookie, and a reply that says public': {
    is: 'stored',
    reply: { 'cache-control': 'public' },
    first: { cookie: 'session=1' },
    second: { cookie: 'session=2' },
  },
  'an API key, and a reply that says max-age': {
    is: 'forwarded',
    reply: { 'cache-control': 'max-age=60' },
    both: { 'x-api-key': 'k' },
  },

  // Requests that are none of the cache's business
  'a range': { is: 'forwarded', second: { range: 'bytes=0-1' } },
  'If-Match': { is: 'forwarded', reply: { etag }, second: { 'if-match': etag } },
  'If-Unmodified-Since': { is: 'forwarded', second: { 'if-unmodified-since': modified } },
  'a method that another header names': { is: 'forwarded', second: { 'x-http-method-override': 'DELETE' } },
  'a target that another header names, in the first request': {
    is: 'forwarded',
    first: { x_original_url: '/admin' },
  },
  'the same in a spelling that CGI-style servers take for it': {
    is: 'forwarded',
    first: { 'X.Original.Url': '/admin' },
  },
  'a host that another header names, in the first request': {
    is: 'forwarded',
    first: { 'x-host': 'evil.example' },
  },
  OPTIONS: { is: 'forwarded', reply: { 'cache-control': 'max-age=60' }, method: 'OPTIONS' },
  'HEAD of a stored GET': { is: 'stored', method: 'HEAD' },
  'HEAD of a stored GET that is stale': {
    is: 'forwarded',
    method: 'HEAD',
    reply: { 'cache-control': 'max-age=60', age: 70 },
  },

  // Stale replies: RFC 5861, RFC 9111 §4.2.4
  'stale-while-revalidate': {
    is: 'stale',
    reply: { 'cache-control': 'max-age=60, stale-while-revalidate=60', age: 70 },
  },
  'stale-while-revalidate that has passed': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60, stale-while-revalidate=60', age: 130, etag },
  },
  'stale-while-revalidate with must-revalidate': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60, must-revalidate, stale-while-revalidate=60', age: 70, etag },
  },
  'stale-while-revalidate with no-cache': {
    is: 'revalidated',
    reply: { 'cache-control': 'no-cache, stale-while-revalidate=60', etag },
  },
  'stale-while-revalidate beside s-maxage': {
    is: 'stale',
    reply: { 'cache-control': 's-maxage=60, stale-while-revalidate=60', age: 70 },
  },
  'stale-while-revalidate for a request that wants it newer': {
    is: 'revalidated',
    reply: { 'cache-control': 'max-age=60, stale-while-revalidate=60', age: 70, etag },
    second: { 'cache-control': 'max-age=10' },
  },
  'stale-if-error, and the house fails': {
    is: 'stale',
    reply: { 'cache-control': 'max-age=60, stale-if-error=60', age: 70 },
    afterwards: unavailable,
  },
  'stale-if-error, and the house does not fail': {
    is: 'forwarded',
    reply: { 'cache-control': 'max-age=60, stale-if-error=60', age: 70 },
  },
  'stale-if-error that has passed': {
    is: 'forwarded',
    reply: { 'cache-control': 'max-age=60, stale-if-error=60', age: 130, etag: '"other"' },
    afterwards: unavailable,
  },
  'stale-if-error with must-revalidate': {
    is: 'forwarded',
    reply: { 'cache-control': 'max-age=60, stale-if-error=60, must-revalidate', age: 70 },
    afterwards: unavailable,
  },
  'a stale reply that permits nothing, and the house fails': {
    is: 'forwarded',
    reply: { 'cache-control': 'max-age=60', age: 70, 'last-modified': ago(5) },
    afterwards: unavailable,
  },
}

for (const [title, given] of Object.entries(cases)) {
  test(`${title}: ${given.is}`, async (t) => {
    const { status = 200, reply = {}, both = {}, first = {}, second = {}, method = 'GET' } = given
    const hasBody = status !== 204
    const house = await cachedHouse(
      t,
      ({ headers }, response) => {
        const count = house.asked.length
        if (count === 1) {
          if (reply['transfer-encoding'] === '') {
            response.socket!.end(
              'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nConnection: close\r\n\r\nfirst',
            )
          } else tell(response, { status, headers: reply, ...(hasBody && { body: 'first' }) })
          return
        }
        const holds =
          (reply.etag === etag && headers['if-none-match'] === etag) ||
          (reply['last-modified'] === modified && headers['if-modified-since'] === modified)
        if (holds)
          tell(response, { status: 304, ...(reply.etag !== undefined && { headers: { etag: reply.etag } }) })
        else tell(response, given.afterwards ?? { headers: { 'x-count': String(count) }, body: 'second' })
      },
      { cache: given.cache ?? '30s' },
    )
    t.is((await house.ask('/x', { headers: { ...both, ...first } })).status, status)
    const answer = await house.ask('/x', { method, headers: { ...both, ...second } })
    const isFirst = answer.headers['x-count'] === undefined && answer.status === status
    if (given.is === 'stored') {
      t.is(house.asked.length, 1)
      t.true(isFirst)
      t.is(answer.body, method === 'HEAD' || !hasBody ? '' : 'first')
    } else if (given.is === 'stale') {
      t.true(isFirst)
      t.is(answer.body, 'first')
      t.true(Number(answer.headers.age) >= 70)
      await until(() => house.asked.length === 2, 'the house is asked as well')
    } else {
      t.is(house.asked.length, 2)
      const { headers } = house.asked[1]!
      const isConditional = 'if-none-match' in headers || 'if-modified-since' in headers
      t.is(
        answer.body,
        isFirst && given.is === 'revalidated'
          ? 'first'
          : given.afterwards || method === 'HEAD'
            ? ''
            : 'second',
      )
      if (given.is === 'revalidated') {
        t.true(isConditional)
        t.true(isFirst)
      } else {
        t.false(isFirst)
        if (given.afterwards === undefined) t.false(isConditional)
        t.is(answer.status, given.afterwards?.status ?? 200)
      }
    }
  })
}

test('only-if-cached without anything stored is 504, and no house is asked', async (t) => {
  const house = await cachedHouse(t, [{ body: 'first' }])
  const answer = await house.ask('/x', { headers: { 'cache-control': 'only-if-cached' } })
  t.is(answer.status, 504)
  t.is((JSON.parse(answer.body) as { code: string }).code, 'not_cached')
  t.is(house.asked.length, 0)
})

test('only-if-cached is the house’s business on a route without a cache', async (t) => {
  const house = await cachedHouse(t, [{ body: 'first' }], { cache: false })
  t.is((await house.ask('/x', { headers: { 'cache-control': 'only-if-cached' } })).body, 'first')
})
