/** A failure, and what the gateway must do about it: a row of docs/failures.md. */
export interface Row {
  readonly failure: string
  readonly promise: string
}

/**
 * Every failure that the gateway promises something about. Each has one test in this folder (`row.ts`), and
 * `npm run failures` writes docs/failures.md from what they see.
 */
export const rows = {
  'consul-away-at-start': {
    failure: 'Consul is down at the start',
    promise: 'live, not ready; static routes are served; ready within 5 s of Consul',
  },
  'consul-frozen': {
    failure: 'Consul is frozen or gone in flight',
    promise: 'the last known is served, its age grows in the metrics: 0 failed requests',
  },
  'everyone-gone': {
    failure: 'every instance is gone at once',
    promise: 'the last known are held for a bounded time, then 503 with Retry-After',
  },
  'consul-abuse': {
    failure: 'Consul starts empty, answers 400, 403, without an index, or changes 1000 times a second',
    promise:
      'nothing is forgotten, 0 failed requests, at most 1 catalog request a second, a new route within 10 s of recovery',
  },
  'kubernetes-watch': {
    failure: 'Kubernetes: 410, 500, a reset in mid-event, 401 and another token',
    promise: 'listed again, the token read again; a new endpoint within 10 s (the token: 70 s)',
  },
  'postgres-away': {
    failure: 'PostgreSQL is down, slow or killed',
    promise:
      'proxied routes go on; tokens pass within the bound of revocation, then 503; the vault answers 503 in bounded time; back within 5 s',
  },
  'instance-refuses': {
    failure: 'an instance refuses connections',
    promise: 'the next instance; ejected after 5; 0 errors for clients with 1 of 3 dead',
  },
  'reset-before-headers': {
    failure: 'an instance resets before it has answered',
    promise: 'only what is idempotent is repeated, otherwise 502; a POST reaches a house exactly once',
  },
  'reset-in-body': {
    failure: 'a reset or FIN in the middle of a reply',
    promise: "the client's connection is aborted: no clean end, no byte added",
  },
  silence: {
    failure: 'a house is silent, or falls silent within a body',
    promise: '504 at the deadline (+ 10 %); the idle limit ends a body',
  },
  'bad-http': {
    failure: 'a house that answers what is no HTTP',
    promise: '502, the process goes on',
  },
  'early-reply': {
    failure: 'a house answers before it has read the upload',
    promise: 'the reply reaches the client, the upload stops',
  },
  'client-abort': {
    failure: 'clients leave before the reply',
    promise: "the house's connection is closed within 1 s; logged as 499, no error; nothing left open",
  },
  slowloris: {
    failure: 'clients that send their request a byte at a time',
    promise: 'cut within 90 s, others are served meanwhile',
  },
  'big-bodies': {
    failure: 'an upload and a download of 1 GB',
    promise: 'streamed: less than 64 MB of memory more',
  },
  pipelining: {
    failure: 'requests that are pipelined',
    promise: 'answered in their order',
  },
  'malformed-requests': {
    failure: 'bad chunks, CL with TE, obs-fold, bare CR or LF, a space before the colon',
    promise: '400 and close; no house sees anything of it',
  },
  'chunked-get': {
    failure: 'a chunked DELETE, GET or OPTIONS on a kept connection',
    promise: 'framed correctly or refused: houses see as many requests as were sent',
  },
  'spoofed-headers': {
    failure: 'identity and forwarding headers of a client, in any spelling',
    promise: 'a house sees only those of the gateway',
  },
  'ambiguous-paths': {
    failure: '/a/../b, %2e%2e, //, \\, %2f, absolute form',
    promise: 'what was authorised is what is forwarded, or 400',
  },
  'websocket-ends': {
    failure: 'a WebSocket that is refused, reset before 101, half closed, silent',
    promise: 'closed on both sides, nothing left open, no crash',
  },
  'server-sent-events': {
    failure: 'an event stream',
    promise: 'the first event within 50 ms of its being sent, never buffered',
  },
  'gateways-rolling': {
    failure: 'SIGTERM under load: two gateways behind a balancer, restarted ten times each',
    promise:
      'readiness fails first, replies say Connection: close, what is in flight ends: 0 failed requests',
  },
  'houses-rolling': {
    failure: 'houses roll over ten times in Consul, and change their tags',
    promise: '0 failed GETs, no POST twice',
  },
  'idle-connections': {
    failure: '10 000 idle connections',
    promise: 'at most 25 KB each',
  },
  'open-websockets': {
    failure: '5 000 open WebSockets',
    promise: 'all alive; so many KB each',
  },
  overload: {
    failure: 'more requests than the gateway has time for',
    promise:
      'new work is refused early with 503 and Retry-After, /livez stays green, what is accepted ends in time',
  },
  'worker-crash': {
    failure: 'a worker crashes (WORKERS)',
    promise: 'the others go on, it is replaced; only what it had in flight is lost',
  },
  'bad-config-live': {
    failure: 'gateway.yaml is changed for the worse while running',
    promise: 'the old one stays in force, each fault is logged, the metric rises',
  },
  'clock-skew': {
    failure: "a replica's clock is wrong by 60 s",
    promise: 'tokens are accepted and revoked all the same; beyond that they are not',
  },
  'signing-key-rotation': {
    failure: 'signing keys rotate under load',
    promise: '0 unexpected 401',
  },
  'one-refresh': {
    failure: 'two replicas refresh one connection, and one of them is killed',
    promise:
      'one call to the provider, the rotated token is never lost while its process lives; kill -9 of the holder frees it',
  },
} as const satisfies Readonly<Record<string, Row>>

export type RowId = keyof typeof rows
