import type { ExecutionContext } from 'ava'
import { type GatewayProcess, startGatewayProcess } from './gateway-process.ts'

export interface WorkersProcess extends GatewayProcess {
  /** Of the workers that it began with. */
  readonly pids: readonly number[]
  /** How many log lines of each worker match, by its number. */
  linesOf(pattern: RegExp): ReadonlyMap<string, number>
}

/** A gateway of several workers. */
export async function startWorkers(
  t: ExecutionContext,
  origin: string,
  env: Readonly<Record<string, string>> = {},
  nodeOptions: readonly string[] = [],
): Promise<WorkersProcess> {
  const gateway = await startGatewayProcess(t, origin, { WORKERS: '2', ...env }, nodeOptions)
  const [, pids = ''] = await gateway.process.printed(/workers +\d+ \(pid ([\d, ]+)\)/)
  return {
    ...gateway,
    pids: pids.split(', ').map(Number),
    linesOf(pattern) {
      const counts = new Map<string, number>()
      for (const [, worker = '', line = ''] of gateway.process.output().matchAll(/^\[(\d+)\] (.*)$/gm)) {
        if (pattern.test(line)) counts.set(worker, (counts.get(worker) ?? 0) + 1)
      }
      return counts
    },
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
