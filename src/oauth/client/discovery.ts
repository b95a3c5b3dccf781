import { allowInsecureRequests, customFetch, discovery, type ServerMetadata } from 'openid-client'
import type { LocateTools } from './dialect-provider.ts'

/** What is used of an issuer's own description (OpenID Connect Discovery §3). */
export type Description = Readonly<ServerMetadata>

const freshMs = 60 * 60 * 1000
const retryMs = 60 * 1000

/**
 * Asks an issuer for its description: when it is needed first, and again once it is an hour old. Where that fails the
 * one that is known stays; where none is known the next call asks again. Whoever asks meanwhile waits for the same answer.
 *
 * @returns rejects as ProviderFetch.demand does
 */
export function createDiscovery(
  issuer: string,
  clientId: string,
  tools: LocateTools,
): () => Promise<Description> {
  const { fetch, errors, timeoutMs, now } = tools
  let known: Description | undefined
  let askAgainAt = 0
  let asking: Promise<Description> | undefined

  async function ask(): Promise<Description> {
    const deadline = AbortSignal.timeout(timeoutMs)
    try {
      const found = await discovery(new URL(issuer), clientId, {}, undefined, {
        timeout: 0,
        execute: issuer.startsWith('http:') ? [allowInsecureRequests] : [],
        [customFetch]: async (url) =>
          Response.json((await fetch.demand({ kind: 'discovery', url }, deadline)).body),
      })
      known = checked(found.serverMetadata())
      askAgainAt = now() + freshMs
      return known
    } catch (error) {
      askAgainAt = now() + retryMs
      throw errors.from(error)
    }
  }

  /** An issuer that is asked by https may not lead to http. */
  function checked(description: Description): Description {
    for (const name of ['authorization_endpoint', 'token_endpoint'] as const) {
      if (!isUrl(description[name])) throw errors.badResponse(`has described itself without ${name}`)
    }
    for (const name of ['userinfo_endpoint', 'revocation_endpoint', 'jwks_uri'] as const) {
      if (description[name] === undefined || isUrl(description[name])) continue
      throw errors.badResponse(`has described itself with an unusable ${name}`)
    }
    return description
  }

  const isUrl = (value: unknown) =>
    typeof value === 'string' &&
    URL.canParse(value) &&
    (value.startsWith('https:') || (value.startsWith('http:') && issuer.startsWith('http:')))

  return async () => {
    if (known !== undefined && now() < askAgainAt) return known
    asking ??= ask().finally(() => {
      asking = undefined
    })
    if (known === undefined) return asking
    // Nobody waits for a description that is only to be fresher.
    asking.catch(() => {})
    return known
  }
}
