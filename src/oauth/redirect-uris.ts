/** Where a provider may send a browser back to with a code. */
export interface RedirectUris {
  /** The gateway's own, of this provider. */
  callback(provider: string): string
  /** Whether a front end may have used it: one of OAUTH_REDIRECT_URIS to the letter, or the gateway's own. */
  allows(provider: string, redirectUri: string): boolean
}

export interface RedirectUrisOptions {
  readonly publicUrl: string
  readonly routePrefix: string
  readonly allowed: readonly string[]
}

/** All come from the configuration, never from a request's Host (RFC 9700 §2.1: compared as strings). */
export function createRedirectUris({ publicUrl, routePrefix, allowed }: RedirectUrisOptions): RedirectUris {
  const known = new Set(allowed)
  const callback = (provider: string) => `${publicUrl}${routePrefix}/oauth/${provider}/callback`
  return {
    callback,
    allows: (provider, redirectUri) => redirectUri === callback(provider) || known.has(redirectUri),
  }
}
