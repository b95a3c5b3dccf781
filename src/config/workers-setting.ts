import { z } from 'zod'
import type { Environment } from '../discovery/source.ts'
import type { Fault } from './fault.ts'
import type { Setting } from './settings.ts'

const workersMessage = 'expected a whole number of processes from 1 to 256, or auto for one for each core'
const workers = z
  .string()
  .regex(/^(?:auto|[1-9]\d{0,2})$/, workersMessage)
  .transform((text) => (text === 'auto' ? text : Number(text)))
  .refine((value) => value === 'auto' || value <= 256, workersMessage)

/** In how many processes the gateway serves. */
export const workersSetting = {
  WORKERS: {
    group: 'Door',
    meaning:
      'processes that serve together, or auto for one for each core; more than 1 takes DATABASE_URL, since one ' +
      'process alone may have the embedded database',
    schema: workers,
    default: '1',
  },
} as const satisfies Record<string, Setting>

/** How many workers there are to be; faults are added to `faults`. */
export function readWorkers(
  { WORKERS: wanted = 1 }: { readonly WORKERS?: number | 'auto' },
  environment: Environment,
  availableParallelism: () => number,
  faults: Fault[],
): number {
  const isEmbedded = environment.DATABASE_URL === undefined
  if (wanted === 'auto') return isEmbedded ? 1 : availableParallelism()
  if (wanted > 1 && isEmbedded) {
    faults.push({
      place: { variable: 'WORKERS' },
      found: `"${wanted}" with the embedded database, which one process alone may have`,
      expected: '1; or DATABASE_URL: PostgreSQL, or none for no database',
    })
  }
  return wanted
}
