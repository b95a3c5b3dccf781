import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import type { Environment } from '../discovery/source.ts'
import { type Fault, missingInProduction, shown } from './fault.ts'
import { expectations } from './issues.ts'
import { type Setting, type SettingValues, settings } from './settings.ts'

/**
 * The environment with `.env` of `cwd` behind it: the real one wins, empty variables are unset.
 * Lines of `.env` that set nothing are faults, not silence.
 */
export function readEnvironment(
  env: Environment,
  cwd: string,
): { environment: Environment; faults: Fault[] } {
  const text = readOptional(join(cwd, '.env'))
  if (text instanceof Error) {
    const place = { file: '.env', line: 1, column: 1, key: '' }
    const fault = { place, found: `a file that cannot be read (${errorCode(text)})`, expected: 'a text file' }
    return { environment: withoutEmpty(env), faults: [fault] }
  }
  const fromFile = text === undefined ? {} : withoutEmpty(parseEnv(text))
  return { environment: { ...fromFile, ...withoutEmpty(env) }, faults: straySetLines(text ?? '') }
}

function withoutEmpty(env: Environment): Environment {
  return Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''),
  )
}

/** `parseEnv` skips what it does not understand. The line itself is not shown: it may hold a secret. */
function straySetLines(text: string): Fault[] {
  const quoted = /^(\s*(?:export\s+)?[\w.-]+\s*=\s*)("[^"]*"|'[^']*'|`[^`]*`)/gm
  const blanked = text.replace(
    quoted,
    (_, start: string, value: string) => start + value.replace(/[^\n]+/g, ''),
  )
  const faults: Fault[] = []
  for (const [index, line] of blanked.split('\n').entries()) {
    if (/^\s*(#.*)?$|^\s*(export\s+)?[A-Za-z_][\w.-]*\s*=/.test(line)) continue
    // The rest of a quoted value that spans lines has been blanked, but for what follows its last quote.
    const place = { file: '.env', line: index + 1, column: 1, key: '' }
    faults.push({ place, found: 'a line that sets nothing', expected: 'NAME=value, or # and a comment' })
  }
  return faults
}

/** A file's text, undefined where there is no such file, the error where it cannot be read as UTF-8. */
export function readOptional(path: string): string | undefined | Error {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    return error as Error
  }
}

/**
 * The same of what may have become anything while the gateway runs: a pipe would hold everything up until somebody
 * writes to it, a device for ever.
 */
export function readRegular(path: string): string | undefined | Error {
  try {
    return isOdd(path) ? Object.assign(new Error(), { code: 'no regular file' }) : readOptional(path)
  } catch (error) {
    return error as Error
  }
}

/** Whether there is something that gives its text once: a pipe, or a descriptor, which no other process has. */
export function isReadOnce(path: string): boolean {
  try {
    return /^\/(?:dev\/(?:fd\/|stdin$)|proc\/)/.test(path) || isOdd(path)
  } catch {
    return false
  }
}

function isOdd(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats !== undefined && !stats.isFile() && !stats.isDirectory()
}

/** `EACCES`, `EISDIR`, …; "not UTF-8" where the bytes are not text. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown }).code
  return code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'not UTF-8' : String(code)
}

/** Reads the table of settings. Values of faulty variables are absent. */
export function readSettings(environment: Environment): { values: Partial<SettingValues>; faults: Fault[] } {
  const production = environment.NODE_ENV?.trim() === 'production'
  const values: Record<string, unknown> = {}
  const faults: Fault[] = []
  for (const [name, setting] of Object.entries<Setting>(settings)) {
    if (production && setting.inProduction !== undefined && environment[name] === undefined) {
      faults.push(missingInProduction(name, setting.inProduction))
    }
    const text = environment[name] ?? defaultText(setting, production, values)
    if (text === undefined) continue
    const result = setting.schema.safeParse(text.trim())
    if (result.success) values[name] = result.data
    else faults.push(variableFault(name, text, expectations(result.error)[0]!.expected, setting.secret))
  }
  return { values: values as Partial<SettingValues>, faults }
}

function defaultText(setting: Setting, production: boolean, values: { PORT?: unknown }): string | undefined {
  const given = setting.default
  const text = typeof given === 'object' ? given[production ? 'production' : 'development'] : given
  return text?.replace('<PORT>', String(values.PORT ?? settings.PORT.default))
}

/** A fault of one variable: its value is shown unless it is, or looks like, a secret. */
export function variableFault(
  name: string,
  text: string | undefined,
  expected: string,
  secret = false,
): Fault {
  const hide = secret || looksSecret(name)
  const found = text === undefined ? 'nothing' : hide ? 'a value (not shown)' : shown(text)
  // A schema may quote what it was given.
  const told = hide && text !== undefined ? expected.replaceAll(text, '…') : expected
  return { place: { variable: name }, found, expected: told }
}

// A source's own variables: better hidden once too often than shown once.
function looksSecret(name: string): boolean {
  return /TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|KEY|_AUTH$|DATABASE_URL/.test(name) && !name.endsWith('_FILE')
}
