import { z } from 'zod'
import { size } from './protection-settings.ts'
import type { Setting } from './settings.ts'

const cacheSizeMessage = 'expected a size such as 64mb, or 0 for no cache'

/** What all routes with `cache` share. */
export const cacheSetting = {
  CACHE_SIZE: {
    group: 'Proxy',
    meaning: 'memory for replies of routes with cache, of each process; 0 for none',
    schema: z.union([z.literal('0').transform(() => 0), size], cacheSizeMessage),
    default: '64mb',
  },
} as const satisfies Record<string, Setting>
