import { request } from 'undici'
import { adminPort } from '../config/admin.ts'
import { readEnvironment, readSettings } from '../config/environment.ts'
import { ConfigError } from '../config/fault.ts'
import type { SettingValues } from '../config/settings.ts'
import type { CommandContext } from './command.ts'
import { reachable } from './reachable.ts'

/** However busy it is: an operator does not wait longer. */
const timeoutMs = 10_000

/** The settings that say where a gateway's admin endpoints are. */
const whereabouts = ['NODE_ENV', 'PORT', 'HOST', 'ROUTE_PREFIX', 'ADMIN_PORT', 'ADMIN_HOST', 'ADMIN_TOKEN']

/**
 * Asks an admin endpoint of a running gateway, or has it change something: the one at `url`, or the one that the same environment and `.env` would
 * start.
 *
 * @param path with its query, such as `/admin/routes`
 * @param url where the endpoints are mounted; undefined for where the settings say
 * @param change what is to be from now on; undefined where nothing is
 * @returns the reply's JSON, which the gateway vouches for
 * @throws Error saying what to do where it cannot be reached, refuses or is something else
 */
export async function askGateway(
  path: string,
  url: string | undefined,
  context: CommandContext,
  change?: Readonly<Record<string, unknown>>,
) {
  const { environment } = readEnvironment(context.env, context.cwd)
  const { values, faults } = readSettings(environment)
  const concerning = faults.filter(({ place }) => 'variable' in place && whereabouts.includes(place.variable))
  if (concerning.length > 0) throw new ConfigError(concerning)
  const base = url === undefined ? defaultUrl(values) : givenUrl(url)
  const { status, text } = await ask(`${base}${path}`, base, values.ADMIN_TOKEN, change)
  const reply = parsed(text)
  if (status === 200 && reply !== undefined) return reply
  throw new Error(refusal(base, status, reply, values.ADMIN_TOKEN !== undefined))
}

function defaultUrl(values: Partial<SettingValues>): string {
  const port = adminPort(values)
  if (port === 0 || (port === undefined && values.PORT === 0)) {
    throw new Error(
      `${port === 0 ? 'ADMIN_PORT' : 'PORT'} is 0, any free one: say where the gateway is by --url`,
    )
  }
  return port === undefined
    ? `http://${reachable(values.HOST)}:${values.PORT}${values.ROUTE_PREFIX ?? ''}`
    : `http://${reachable(values.ADMIN_HOST)}:${port}`
}

function givenUrl(text: string): string {
  const isUrl = /^https?:\/\/[^/?#@\s]+(?:\/[^?#\s]*)?$/i.test(text) && URL.canParse(text)
  if (isUrl) return text.replace(/\/+$/, '')
  throw new Error(
    `--url: expected where the gateway is, such as http://127.0.0.1:8080, found ${JSON.stringify(text)}`,
  )
}

async function ask(
  url: string,
  base: string,
  token: string | undefined,
  change: Readonly<Record<string, unknown>> | undefined,
) {
  try {
    const { statusCode, body } = await request(url, {
      headers: {
        accept: 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(change && { 'content-type': 'application/json' }),
      },
      ...(change && { method: 'PUT', body: JSON.stringify(change) }),
      signal: AbortSignal.timeout(timeoutMs),
    })
    return { status: statusCode, text: await body.text() }
  } catch (error) {
    throw new Error(
      `no gateway answers at ${base} (${reasonOf(error)}): is it running? PORT, HOST, ADMIN_PORT and ADMIN_HOST of ` +
        'the environment or .env say where it is asked, or --url does',
      { cause: error },
    )
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return `not within ${timeoutMs / 1000} s`
  return 'code' in error ? String(error.code) : error.message
}

function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

function refusal(base: string, status: number, reply: unknown, hasToken: boolean): string {
  const detail = reply !== undefined && 'detail' in Object(reply) ? String(Object(reply).detail) : undefined
  if (status === 401 || status === 403) {
    const remedy = hasToken
      ? 'ADMIN_TOKEN of the environment or .env is not that of the gateway'
      : 'set ADMIN_TOKEN in the environment or .env as the gateway has it'
    return `the gateway at ${base} refuses (${status}${detail === undefined ? '' : `: ${detail}`}): ${remedy}`
  }
  if (status === 400 && detail !== undefined) return detail
  if (status === 404) {
    return (
      `there are no admin endpoints at ${base}: in production, and wherever ADMIN_PORT is set, they are on a port of ` +
      'their own; elsewhere under ROUTE_PREFIX'
    )
  }
  return `what answers at ${base} is no admin endpoint of a gateway (${status}${detail === undefined ? '' : `: ${detail}`})`
}
