import { createLocalJWKSet, type FlattenedJWSInput, type JSONWebKeySet, type JWSHeaderParameters } from 'jose'
import { request } from 'undici'
import { z } from 'zod'
import type { TrustedIssuerConfig } from '../config/config.ts'
import { GatewayError } from '../errors.ts'
import type { Log } from '../observability/log.ts'

/** Another issuer whose tokens pass the door. */
export interface TrustedIssuer {
  readonly issuer: string
  readonly audience: string
  /**
   * The key that a token says it was signed with; for jose's jwtVerify.
   * @throws GatewayError `token_state_unknown` where the issuer's keys were never had; jose's own errors otherwise
   */
  readonly key: ReturnType<typeof createLocalJWKSet>
  /** Fetches the keys for the first time, so that the first caller need not wait. */
  start(): void
  stop(): void
}

export interface TrustedIssuerOptions extends TrustedIssuerConfig {
  readonly log: Log
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Keys younger than this are not asked for again, whatever `kid` a stranger invents. */
const cooldownMs = 30_000
/** Keys older than this are fetched anew, in the background: the last ones are good until others are had. */
const maxAgeMs = 600_000
const timeoutMs = 5000
const mostBytes = 262_144

const jwksSchema = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })).min(1) })

/**
 * The keys of another issuer. Those that were had outlive an issuer that is away, unlike those of jose's remote
 * set, which are worth nothing ten minutes after the last fetch.
 */
export function createTrustedIssuer(options: TrustedIssuerOptions): TrustedIssuer {
  const { issuer, jwksUrl, audience, log, now = () => performance.now() } = options
  let known: ReturnType<typeof createLocalJWKSet> | undefined
  let fetchedAt = Number.NEGATIVE_INFINITY
  let triedAt = Number.NEGATIVE_INFINITY
  let fetching: Promise<void> | undefined
  let lastFault: string | undefined
  const stopping = new AbortController()

  async function refresh(): Promise<void> {
    triedAt = now()
    try {
      known = createLocalJWKSet(await fetchKeys(jwksUrl, stopping.signal))
      fetchedAt = now()
      if (lastFault !== undefined) log.info({ issuer }, `keys of ${issuer} are there again`)
      lastFault = undefined
    } catch (error) {
      if (stopping.signal.aborted) return
      const fault = error instanceof Error ? error.message : String(error)
      if (fault !== lastFault) log.warn({ issuer }, `keys of ${issuer} cannot be fetched: ${fault}`)
      lastFault = fault
    }
  }

  function refreshOnce(): Promise<void> {
    fetching ??= refresh().finally(() => {
      fetching = undefined
    })
    return fetching
  }

  const coolsDown = () => now() - triedAt < cooldownMs

  async function key(header?: JWSHeaderParameters, token?: FlattenedJWSInput) {
    if (known === undefined && (fetching !== undefined || !coolsDown())) await refreshOnce()
    else if (now() - fetchedAt > maxAgeMs && !coolsDown()) void refreshOnce()
    if (known === undefined) {
      throw new GatewayError('token_state_unknown', {
        detail: 'The keys of the issuer of this token cannot be had now.',
        headers: { 'Retry-After': '5' },
      })
    }
    try {
      return await known(header, token)
    } catch (error) {
      // A key that is new since; asked for once in a while only, since anybody can invent a kid.
      if ((error as { code?: unknown }).code !== 'ERR_JWKS_NO_MATCHING_KEY' || coolsDown()) throw error
      await refreshOnce()
      return known(header, token)
    }
  }

  return {
    issuer,
    audience,
    key: key as TrustedIssuer['key'],
    start: () => void refreshOnce(),
    stop: () => stopping.abort(),
  }
}

async function fetchKeys(url: string, stopping: AbortSignal): Promise<JSONWebKeySet> {
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(timeoutMs)])
  const { statusCode, body } = await request(url, { signal, headers: { accept: 'application/json' } })
  if (statusCode !== 200) {
    await body.dump()
    throw new Error(`${url} answered ${statusCode}`)
  }
  let text = ''
  for await (const chunk of body.setEncoding('utf8')) {
    text += chunk
    if (text.length > mostBytes) throw new Error(`${url} answered with more than ${mostBytes} bytes`)
  }
  const parsed = jwksSchema.safeParse(parse(text))
  if (!parsed.success) throw new Error(`${url} did not answer with a JSON Web Key Set`)
  return parsed.data as JSONWebKeySet
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
