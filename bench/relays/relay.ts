import { fileURLToPath } from 'node:url'
import { packageVersion } from '../machine.ts'
import type { Launch } from '../processes.ts'

/** Where a relay listens and forwards to; it may write its configuration and logs (`*.log`) in `directory`. */
export interface Setup {
  readonly port: number
  readonly originPort: number
  readonly directory: string
}

/** Something that forwards PREFIX/** to the origin. */
export interface Relay {
  readonly name: string
  /** How it is set up, in the table's words. */
  readonly setup: string
  /** Its version; undefined where it is not on this machine. */
  version(): string | undefined
  launch(setup: Setup): Launch
}

/** A relay that is a Node program next to this file; it reads PORT, ORIGIN and `env`. */
export function nodeRelay(
  name: string,
  setup: string,
  packageName: string,
  program: string,
  env: Readonly<Record<string, string>> = {},
): Relay {
  return {
    name,
    setup,
    version: () => packageVersion(packageName),
    launch: ({ port, originPort }) => ({
      command: process.execPath,
      args: [fileURLToPath(new URL(program, import.meta.url))],
      env: {
        NODE_ENV: 'production',
        PORT: String(port),
        ORIGIN: `http://127.0.0.1:${originPort}`,
        ...env,
      },
    }),
  }
}
