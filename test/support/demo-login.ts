/** A browser as far as cookies and redirects go: without pages, scripts, or a cookie's attributes but its path. */
export interface CookieClient {
  fetch(url: string | URL, init?: RequestInit): Promise<Response>
}

export function cookieClient(): CookieClient {
  const jar = new Map<string, { readonly value: string; readonly path: string; readonly host: string }>()
  return {
    async fetch(url, init = {}) {
      const { hostname, pathname } = new URL(url)
      const cookie = [...jar.values()]
        .filter(({ path, host }) => host === hostname && pathname.startsWith(path))
        .map(({ value }) => value)
        .join('; ')
      const headers = { ...(init.headers as Record<string, string>), ...(cookie !== '' && { cookie }) }
      const reply = await fetch(url, { ...init, headers, redirect: 'manual' })
      for (const line of reply.headers.getSetCookie()) {
        const [pair = '', ...attributes] = line.split('; ')
        const path = attributes.find((one) => /^path=/i.test(one))?.slice('path='.length) ?? '/'
        const key = `${hostname}${path}${pair.slice(0, pair.indexOf('='))}`
        if (pair.endsWith('=')) jar.delete(key)
        else jar.set(key, { value: pair, path, host: hostname })
      }
      return reply
    },
  }
}

export interface DemoAnswer {
  readonly name?: string
  readonly decision?: 'yes' | 'no'
}

/**
 * Follows an authorization URL of the demo provider (scripts/demo-provider.ts) to its page, fills that in, and follows
 * on until the browser is sent to another origin: gives that address, with its code.
 */
export async function logInAtDemoProvider(
  authorizationUrl: string | URL,
  { name = 'demo', decision = 'yes' }: DemoAnswer = {},
  client: CookieClient = cookieClient(),
): Promise<URL> {
  const { origin } = new URL(authorizationUrl)
  let at = new URL(authorizationUrl)
  let reply = await client.fetch(at)
  for (let hops = 0; hops < 10; hops += 1) {
    const location = reply.headers.get('location')
    if (location !== null) {
      at = new URL(location, at)
      if (at.origin !== origin) return at
      reply = await client.fetch(at)
    } else if (reply.status === 200 && at.pathname.startsWith('/interaction/')) {
      reply = await client.fetch(at, { method: 'POST', body: new URLSearchParams({ name, decision }) })
    } else {
      throw new Error(
        `the demo provider answered ${at.pathname} with ${reply.status}:\n${await reply.text()}`,
      )
    }
  }
  throw new Error('the demo provider sent the browser in circles')
}
