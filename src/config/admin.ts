import type { AdminConfig } from './config.ts'
import type { Fault } from './fault.ts'
import type { SettingValues } from './settings.ts'

const productionPort = 9090
const leastTokenLength = 16

/** Where the admin endpoints are, and who may ask them. Faults are added to `faults`. */
export function readAdmin(values: Partial<SettingValues>, faults: Fault[]): AdminConfig {
  const production = values.NODE_ENV === 'production'
  const { ADMIN_PORT: given, ADMIN_TOKEN: token, PORT: main } = values
  const port = adminPort(values)
  if (production && port !== 0 && port === main) {
    faults.push({
      place: { variable: 'ADMIN_PORT' },
      found: `${port}${given === undefined ? ' (its default)' : ''}, which is PORT`,
      expected: 'a port of its own in production: what is said there is not for the public',
    })
  }
  if (production && token !== undefined && token.length < leastTokenLength) {
    faults.push({
      place: { variable: 'ADMIN_TOKEN' },
      found: 'a token that is easily guessed (not shown)',
      expected: `at least ${leastTokenLength} characters in production; openssl rand -base64 32 makes one`,
    })
  }
  // Absent only where it is faulty; the start ends before anybody reads it.
  return { port, host: values.ADMIN_HOST as string, token }
}

/** The port of the admin endpoints; undefined where they are on the main port. */
export function adminPort({
  NODE_ENV: environment,
  ADMIN_PORT: given,
  PORT: main,
}: Partial<SettingValues>): number | undefined {
  if (environment === 'production') return given ?? productionPort
  return given === main && given !== 0 ? undefined : given
}
