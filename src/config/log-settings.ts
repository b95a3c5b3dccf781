import { z } from 'zod'
import type { Setting } from './settings.ts'

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const

export const logLevel = z.enum(logLevels, 'expected debug, info, warn, error or silent')

/** What the gateway says of itself. */
export const logSettings = {
  LOG_LEVEL: {
    group: 'Door',
    meaning: 'debug, info, warn, error or silent',
    schema: logLevel,
    default: 'info',
  },
  LOG_PATHS: {
    group: 'Door',
    meaning: 'full, or route where paths hold secrets: the log and the traces then tell the route alone',
    schema: z.enum(['full', 'route'], 'expected full or route'),
    default: 'full',
  },
} as const satisfies Record<string, Setting>
