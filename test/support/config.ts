import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import type { Config } from '../../src/config/config.ts'
import { ConfigError, type Fault } from '../../src/config/fault.ts'
import { type LoadInput, loadConfig } from '../../src/config/load.ts'
import { discoverySources } from '../../src/discovery/sources/index.ts'

export interface ConfigFiles {
  readonly yaml?: string | Buffer
  readonly dotEnv?: string
}

/** A folder of its own with the given files, gone after the test. */
export function configFolder(t: ExecutionContext, { yaml, dotEnv }: ConfigFiles = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'munjigi-config-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  if (yaml !== undefined) writeFileSync(join(folder, 'gateway.yaml'), yaml)
  if (dotEnv !== undefined) writeFileSync(join(folder, '.env'), dotEnv)
  return folder
}

type Given = ConfigFiles & Partial<LoadInput>

/** Loads from a folder with just these files, without a database; the machine's own environment plays no part. */
export function load(t: ExecutionContext, given: Given = {}): Config {
  const { yaml, dotEnv, env = {}, ...input } = given
  const cwd = configFolder(t, {
    ...(yaml !== undefined && { yaml }),
    ...(dotEnv !== undefined && { dotEnv }),
  })
  return loadConfig({ env: { DATABASE_URL: 'none', ...env }, cwd, sources: discoverySources, ...input })
}

/** The error that loading these must end in. */
export function loadError(t: ExecutionContext, given: Given): ConfigError {
  const error = t.throws(() => load(t, given), { instanceOf: ConfigError })
  if (error === undefined) throw new Error('the configuration was accepted')
  return error
}

/** As loadError: the faults, one line each as printed. */
export function faultLines(t: ExecutionContext, given: Given): string[] {
  return loadError(t, given)
    .message.split('\n')
    .slice(1)
    .map((line) => line.trim())
}

/** Where a fault is, for comparison: the variable, or `line key`. */
export function spot({ place }: Fault): string {
  return 'variable' in place ? place.variable : `${place.line} ${place.key}`
}
