import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

/** What a process holds in memory now, in KB. */
async function residentKb(pid: number): Promise<number> {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)])
    return Number(stdout)
  }
}

/** The same once it has had time to collect its garbage: the least of a few looks, as it has come to rest. */
export async function restingKb(pid: number, looks = 5, pauseMs = 200): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < looks; i++) {
    await delay(pauseMs)
    least = Math.min(least, await residentKb(pid))
  }
  return least
}

/** How many files a process may have open, itself or this one; Infinity where the system does not say. */
export async function fileLimit(pid: number | 'self'): Promise<number> {
  const limits = await readFile(`/proc/${pid}/limits`, 'utf8').catch(() => '')
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY)
}
