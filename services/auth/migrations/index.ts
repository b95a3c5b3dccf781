import { Users20261123 } from './2026-11-23-users.ts'

/** In order; a new one is a file and a line. Names are never changed once released. */
export const migrations = [{ name: '2026-11-23-users', class: Users20261123 }] as const
