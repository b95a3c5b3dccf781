import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { packageVersion } from './machine.ts'

/** Installs the peers' packages where they are missing, and holds the bare relay to the product's own undici. */
export function installPeers(): void {
  const directory = fileURLToPath(new URL('.', import.meta.url))
  if (!existsSync(`${directory}node_modules/.package-lock.json`)) {
    console.log("installing the peers' packages in bench/ …")
    // No peer needs its install scripts to run.
    const args = [
      'ci',
      '--prefix',
      directory,
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
    ]
    execFileSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const wanted = (JSON.parse(manifest) as { dependencies: Record<string, string> }).dependencies.undici
  if (packageVersion('undici') !== wanted) {
    throw new Error(
      `bench/node_modules has undici ${packageVersion('undici')}, the gateway uses ${wanted}: ` +
        'set the same version in bench/package.json and run npm install --prefix bench',
    )
  }
}
