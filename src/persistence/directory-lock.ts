import { readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { ConnectionFault } from './faults.ts'

/**
 * Takes a directory for this process alone, and gives what gives it free. The lock is SQLite's on a file beside the
 * directory: the kernel's own, so it ends with the process however that ends, and a process id that comes again in
 * the next container means nothing.
 * @throws ConnectionFault naming DATA_DIR and the process that has it
 */
export async function lockDirectory(directory: string): Promise<() => void> {
  const holderFile = `${directory}.pid`
  const lock = new DatabaseSync(`${directory}.lock`, { timeout: 0 })
  try {
    lock.exec('begin exclusive')
  } catch (error) {
    lock.close()
    if (!(error instanceof Error && error.message.includes('locked'))) throw error
    const holder = (await readFile(holderFile, 'utf8').catch(() => '')).trim() || 'unknown'
    throw new ConnectionFault(
      `the embedded database ${directory} is in use by process ${holder}: stop it, or give each its own DATA_DIR`,
    )
  }
  try {
    await writeFile(holderFile, `${process.pid} on ${hostname()}\n`, { mode: 0o600 })
  } catch (error) {
    lock.close()
    throw error
  }
  return () => lock.close()
}
