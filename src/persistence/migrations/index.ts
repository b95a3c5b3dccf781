import { Tokens20261122 } from './2026-11-22-tokens.ts'
import { OAuth20261123 } from './2026-11-23-oauth.ts'
import { RateCounts20261123 } from './2026-11-23-rate-counts.ts'

/** The gateway's migrations in order; a new one is a file and a line. Names are never changed once released. */
export const migrations = [
  { name: '2026-11-22-tokens', class: Tokens20261122 },
  { name: '2026-11-23-oauth', class: OAuth20261123 },
  { name: '2026-11-23-rate-counts', class: RateCounts20261123 },
] as const
