import type { Fill } from './fill.ts'

/** Replies that are on their way into the store, by the key that they will be stored under. */
export interface Fills {
  add(key: string, fill: Fill): void
  remove(key: string, fill: Fill): void
  /** What is on its way for this key was asked for before it was changed. */
  spoil(key: string): void
}

export function createFills(): Fills {
  const fills = new Map<string, Set<Fill>>()
  return {
    add(key, fill) {
      const known = fills.get(key)
      if (known === undefined) fills.set(key, new Set([fill]))
      else known.add(fill)
    },
    remove(key, fill) {
      const known = fills.get(key)
      if (known?.delete(fill) && known.size === 0) fills.delete(key)
    },
    spoil(key) {
      for (const fill of fills.get(key) ?? []) fill.spoil()
    },
  }
}
