import createClient, { type Client } from 'openapi-fetch'
import type { paths } from '../gateway-api.d.ts'
import type { Tokens } from './tokens.ts'

export type Gateway = Client<paths>

/**
 * The gateway, asked by the browser itself, with the access token where there is one. A token that the gateway does
 * not take any more is renewed, and the request is sent again, once.
 */
export function createGateway(baseUrl: string, tokens: Tokens): Gateway {
  return createClient<paths>({
    baseUrl,
    // The token says who it is; no cookie has to.
    credentials: 'omit',
    cache: 'no-store',
    async fetch(request: Request) {
      const token = await tokens.good()
      if (token === undefined) return fetch(request)
      const reply = await fetch(withToken(request.clone(), token.text))
      if (reply.status !== 401) return reply
      const other = await tokens.otherThan(token)
      return other === undefined ? reply : fetch(withToken(request, other.text))
    },
  })
}

function withToken(request: Request, token: string): Request {
  request.headers.set('Authorization', `Bearer ${token}`)
  return request
}
