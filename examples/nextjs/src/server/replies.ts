import { readSettings } from './settings.ts'

const headers = { 'Cache-Control': 'no-store' }

/** Somewhere else at this front end. */
export function goTo(path: string): Response {
  return new Response(null, {
    status: 303,
    headers: { ...headers, Location: readSettings().frontEndUrl + path },
  })
}

export const nothing = () => new Response(null, { status: 204, headers })

export const json = (body: unknown) => Response.json(body, { headers })

/** An error in the gateway's own form (RFC 9457). */
export function problem(status: number, detail: string): Response {
  const body = JSON.stringify({ status, detail })
  return new Response(body, { status, headers: { ...headers, 'Content-Type': 'application/problem+json' } })
}

/** Whether a page of this front end asks: browsers say so, and let no page lie. */
export const isOwnPage = (request: Request) => request.headers.get('origin') === readSettings().frontEndUrl

export const notOurs = () => problem(403, 'Only pages of this front end may ask.')
