import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/** What .gitignore names: other people's, or made here. */
const foreign = new Set(['.git', 'node_modules', '.data', '.cache', 'coverage', '.next'])
const made = /(?:^\.env|\.log|\.tsbuildinfo|(?:^|\/)next-env\.d\.ts)$/

/** The files of the repository, as a clone would have them; without asking git, which a machine may do without. */
export function repositoryFiles(folder = ''): readonly string[] {
  return readdirSync(folder || '.', { withFileTypes: true }).flatMap((entry) => {
    const name = join(folder, entry.name)
    if (entry.isDirectory()) return foreign.has(entry.name) ? [] : repositoryFiles(name)
    return entry.isFile() && !made.test(name) ? [name] : []
  })
}
