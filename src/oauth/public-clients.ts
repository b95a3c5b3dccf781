import { frontEndClientId } from './login/redeem.ts'

/** Swagger UI's client id: see door/docs.ts. */
export const docsClientId = 'munjigi-docs'

/** Where Swagger UI gets its authorization codes, below `/docs`. */
export const docsRedirectFile = 'oauth2-redirect.html'

export interface PublicClientsOptions {
  readonly publicUrl: string
  readonly routePrefix: string
  /** LOGIN_RETURN_URLS */
  readonly returnUrls: readonly string[]
}

/**
 * The clients that have no secret (RFC 6749 §2.1), by id, each with its redirect URIs, which are compared as strings
 * (RFC 9700 §2.1): the gateway's Swagger UI, and the front ends, which are one client. All are first-party.
 */
export function createPublicClients(options: PublicClientsOptions): ReadonlyMap<string, ReadonlySet<string>> {
  const { publicUrl, routePrefix, returnUrls } = options
  return new Map([
    [docsClientId, new Set([`${publicUrl}${routePrefix}/docs/${docsRedirectFile}`])],
    [frontEndClientId, new Set(returnUrls)],
  ])
}
