import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors.ts'
import { invalidRequest } from './body.ts'
import type { AuthenticationFailures } from './limits.ts'
import type { Client, TokenStep } from './state.ts'

export interface ClientsOptions {
  /** GATEWAY_CLIENTS; an id may stand there with each of its secrets */
  readonly clients: readonly { readonly id: string; readonly secret: string }[]
  readonly failures: AuthenticationFailures
}

/**
 * Finds out which client asks: HTTP Basic, or `client_id` and `client_secret` in the body, never both (RFC 6749
 * §2.3). A `client_id` alone is let through as a claim; nobody at all too: what they may do is the endpoint's
 * business, see `requireClient`.
 *
 * Secrets are compared as hashes and in constant time, and against something for an id that does not exist, so
 * that neither a secret nor an id can be found by how long the answer takes.
 *
 * @throws GatewayError `invalid_client`, `too_many_requests`, `invalid_request`
 */
export function createIdentifyClient({ clients, failures }: ClientsOptions): TokenStep {
  const secrets = Map.groupBy(clients, ({ id }) => id)
  const digests = new Map(
    [...secrets].map(([id, pairs]) => [id, pairs.map(({ secret }) => digestOf(secret))]),
  )
  const nobodys = [randomBytes(32)]

  function matches(id: string, secret: string): boolean {
    const shown = digestOf(secret)
    const known = digests.get(id)
    // All of them, whichever is right.
    const equal = (known ?? nobodys).filter((digest) => timingSafeEqual(shown, digest))
    return known !== undefined && equal.length > 0
  }

  return async function identifyClient(ctx, next) {
    const { candidates, id } = readCredentials(ctx.req, ctx.state.body)
    if (candidates.length > 0) {
      const { address } = ctx.state.caller
      const named = candidates.find((candidate) => digests.has(candidate.id))?.id
      await failures.blocked(address, named)
      // All of them, whichever is right.
      const found = candidates.filter((candidate) => matches(candidate.id, candidate.secret))[0]
      if (found === undefined) {
        await failures.failed(address, named)
        throw invalidClient('The client is not known, or its secret is another.')
      }
      ctx.state.client = { id: found.id, authenticated: true }
    } else ctx.state.client = id === undefined ? undefined : { id, authenticated: false }
    return next()
  }
}

/** @throws GatewayError `invalid_client` where the caller has not shown that it is a client */
export function requireClient(client: Client | undefined): Client {
  if (client?.authenticated) return client
  throw invalidClient('A client of the gateway is asked for: HTTP Basic, or client_id and client_secret.')
}

/** RFC 6749 §5.2. */
export function invalidClient(detail: string): GatewayError {
  return new GatewayError('invalid_client', {
    detail,
    headers: { 'WWW-Authenticate': 'Basic realm="munjigi", charset="UTF-8"' },
  })
}

interface Credentials {
  readonly id: string
  readonly secret: string
}

/** What was sent: several readings of one pair of credentials, none where no secret was. */
function readCredentials(
  request: IncomingMessage,
  body: Readonly<Record<string, unknown>>,
): { readonly candidates: readonly Credentials[]; readonly id: string | undefined } {
  const { client_id: bodyId, client_secret: bodySecret } = body
  for (const [name, value] of Object.entries({ client_id: bodyId, client_secret: bodySecret })) {
    if (value !== undefined && (typeof value !== 'string' || value === '')) {
      throw invalidRequest(`${name}: expected a text that is not empty`)
    }
  }
  const id = bodyId as string | undefined
  const secret = bodySecret as string | undefined
  const headers = request.headersDistinct.authorization ?? []
  if (headers.length > 1) throw invalidRequest('Expected one Authorization header.')
  const [, encoded] = /^basic +(.*)$/i.exec(headers[0] ?? '') ?? []
  if (encoded === undefined) {
    if (secret === undefined) return { candidates: [], id }
    if (id === undefined) throw invalidRequest('client_id: expected with client_secret')
    return { candidates: [{ id, secret }], id }
  }
  const candidates = readBasic(encoded)
  if (secret !== undefined || (id !== undefined && !candidates.some((candidate) => candidate.id === id))) {
    throw invalidRequest('Expected credentials in the Authorization header or in the body, not in both.')
  }
  return { candidates, id: candidates[0]!.id }
}

/**
 * RFC 7617 as RFC 6749 §2.3.1 has it: id and secret are form-encoded before. Many programs leave that out, and
 * base64 secrets are full of `+`, so that the pair is also taken as it came.
 */
function readBasic(encoded: string): readonly Credentials[] {
  const [, id, secret] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? []
  if (id === undefined || secret === undefined) throw invalidClient('The Basic credentials are malformed.')
  const plain = { id, secret }
  try {
    return [{ id: formDecode(id), secret: formDecode(secret) }, plain]
  } catch {
    return [plain]
  }
}

const formDecode = (text: string) => decodeURIComponent(text.replaceAll('+', ' '))

const digestOf = (secret: string) => hash('sha256', secret, 'buffer')
