import { randomBytes } from 'node:crypto'
import type { Away } from './oauth-neighbourhood.ts'

/** What a browser brings in place of what it was sent back with; `''` for no cookie. */
export interface Brought {
  readonly search: string
  readonly cookie?: string
}

type Trick = (back: URL, away: Away, other: Away) => Brought

/** With these parameters changed; undefined leaves one out. */
function changed(back: URL, change: Readonly<Record<string, string | undefined>>): Brought {
  const query = new URLSearchParams(back.search)
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined) query.delete(name)
    else query.set(name, value)
  }
  return { search: `?${query}` }
}

/** Callbacks that none may get through, each from one that would. */
export const callbackTricks: Readonly<Record<string, Trick>> = {
  'no state': (back) => changed(back, { state: undefined }),
  'an empty state': (back) => changed(back, { state: '' }),
  'an altered state': (back, { state }) =>
    changed(back, { state: (state.startsWith('A') ? 'B' : 'A') + state.slice(1) }),
  'a state that is none': (back) => changed(back, { state: 'x'.repeat(5000) }),
  'a made-up state': (back) => changed(back, { state: randomBytes(32).toString('base64url') }),
  'the state of another login of the same provider in another browser': (back, _, other) =>
    changed(back, { state: other.state }),
  'another browser': (back, _, other) => ({ search: back.search, cookie: other.cookie }),
  'no cookie': (back) => ({ search: back.search, cookie: '' }),
  'the iss of somebody else': (back) => changed(back, { iss: 'https://evil.example.com' }),
  'two codes': (back) => ({ search: `${back.search}&code=${randomBytes(9).toString('hex')}` }),
  'two states': (back, { state }) => ({ search: `${back.search}&state=${state}` }),
  'no code': (back) => changed(back, { code: undefined }),
  access_denied: (back) => changed(back, { code: undefined, error: 'access_denied' }),
  'an error beside a code': (back) => changed(back, { error: 'access_denied' }),
  'an error of its own words': (back) =>
    changed(back, { code: undefined, error: '<script>', error_description: '<script>alert(1)</script>' }),
}

/** Addresses that a careless comparison takes for this one. */
export function urlTricks(allowed: string): readonly string[] {
  const { host, hostname, pathname, protocol } = new URL(allowed)
  return [
    `//evil.example.com${pathname}`,
    `${protocol}//${host}@evil.example.com${pathname}`,
    `${protocol}//evil.example.com\\@${host}${pathname}`,
    `${protocol}//evil@${host}${pathname}`,
    `${protocol}//${host}.evil.example.com${pathname}`,
    `${protocol}//evil.example.com/${host}${pathname}`,
    `${protocol}//${hostname}:8443${pathname}`,
    `${protocol}//${hostname}:443${pathname}`,
    `http://${host}${pathname}`,
    `${allowed}/`,
    `${allowed}/more`,
    `${allowed}2`,
    `${allowed}/../evil`,
    `${allowed}/%2e%2e/evil`,
    `${allowed}%2f`,
    `${allowed}%00`,
    `${allowed}?next=//evil.example.com`,
    `${allowed}#evil`,
    ` ${allowed}`,
    `${allowed}\n`,
    allowed.toUpperCase(),
    encodeURIComponent(allowed),
    `${protocol}//${host}`,
    'javascript:alert(1)',
    '/',
    'null',
  ]
}

/** Headers of a request that asks for somebody else's host. */
export const hostTricks = (host: string): readonly Readonly<Record<string, string>>[] => [
  { host: 'evil.example.com' },
  { host: `${host}.evil.example.com` },
  { host: `${host}:8443` },
  { 'x-forwarded-host': 'evil.example.com' },
  { 'x-forwarded-host': `${host}, evil.example.com` },
  { 'x-forwarded-host': `evil.example.com, ${host}` },
]
