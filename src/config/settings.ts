import { isIP, isIPv4 } from 'node:net'
import { z } from 'zod'
import { duration, pathPrefix, timeout } from '../discovery/description.ts'
import { host, port } from './address-schemas.ts'
import { adminSettings } from './admin-settings.ts'
import { cacheSetting } from './cache-setting.ts'
import { databaseSettings } from './database-settings.ts'
import { logSettings } from './log-settings.ts'
import { oauthSettings } from './oauth-settings.ts'
import { protectionSettings } from './protection-settings.ts'
import { tokenSettings } from './token-settings.ts'
import { tracingSettings } from './tracing-settings.ts'
import { workersSetting } from './workers-setting.ts'

/** One environment variable: how it is read, and what the documentation says of it. */
export interface Setting {
  readonly group: string
  readonly meaning: string
  /** From the variable's text to its value; messages begin with "expected". */
  readonly schema: z.ZodType<unknown, string>
  /** Read like the variable itself; `<PORT>` stands for the port. Absent: unset, see `unset`. */
  readonly default?: string | { readonly development: string; readonly production: string }
  /** What being unset means, where there is no fixed default. */
  readonly unset?: string
  /** Its value is never shown. */
  readonly secret?: boolean
  /** What is expected in production, where it must be set. */
  readonly inProduction?: string
}

const publicUrlMessage =
  'expected an absolute http or https URL without a path, such as https://www.jinmini.com'
const publicUrl = z
  .string()
  .refine((text) => /^https?:\/\/[^/?#@\s]+\/?$/i.test(text) && URL.canParse(text), publicUrlMessage)
  .transform((text) => new URL(text).origin)

const trustedProxiesMessage = 'expected addresses or CIDRs separated by commas, such as 10.0.0.0/8, ::1'
const trustedProxies = z
  .string()
  .transform((text) => text.split(',').map((item) => toCidr(item.trim())))
  .pipe(z.array(z.string(trustedProxiesMessage)))

const comma = z.string().transform((text) => text.split(',').map((item) => item.trim()))

/**
 * Every environment variable that the gateway itself reads; discovery sources have more of their own.
 * The start, `.env.example` and the documentation are made from this table.
 */
export const settings = {
  NODE_ENV: {
    group: 'Door',
    meaning: 'development, production or test; decides the defaults below',
    schema: z.enum(['development', 'production', 'test'], 'expected development, production or test'),
    default: 'development',
  },
  PORT: { group: 'Door', meaning: 'port that the gateway listens on', schema: port, default: '8080' },
  HOST: {
    group: 'Door',
    meaning: 'host name or address that it listens on',
    schema: host,
    default: { development: 'localhost', production: '0.0.0.0' },
  },
  PUBLIC_URL: {
    group: 'Door',
    meaning: 'what browsers see, e.g. https://www.jinmini.com; required in production',
    schema: publicUrl,
    default: 'http://localhost:<PORT>',
    inProduction: 'what browsers see, such as https://www.jinmini.com: issuer and audience come from it',
  },
  ROUTE_PREFIX: {
    group: 'Door',
    meaning: "where the gateway's own endpoints are mounted, e.g. /e",
    schema: pathPrefix.refine((path) => path !== '/', 'expected a path such as /e; leave it empty for none'),
    unset: 'no prefix',
  },
  TRUSTED_PROXIES: {
    group: 'Door',
    meaning: 'addresses and CIDRs whose X-Forwarded-* are believed, separated by commas',
    schema: trustedProxies,
    unset: 'none',
  },
  ...logSettings,
  DRAIN_DELAY: {
    group: 'Door',
    meaning: 'how long readiness fails before it stops accepting connections at shutdown',
    schema: duration,
    default: { development: '0s', production: '5s' },
  },
  DRAIN_TIMEOUT: {
    group: 'Door',
    meaning: 'how long requests in flight may take to finish at shutdown',
    schema: timeout,
    default: '10s',
  },
  ...workersSetting,
  ...protectionSettings,
  ...adminSettings,
  ...tracingSettings,
  ...databaseSettings,
  ...tokenSettings,
  ...oauthSettings,
  CONNECT_TIMEOUT: {
    group: 'Proxy',
    meaning: 'for a connection to an instance',
    schema: timeout,
    default: '2s',
  },
  REQUEST_TIMEOUT: {
    group: 'Proxy',
    meaning: "from a request's last byte to the head of its reply; a route may have its own",
    schema: timeout,
    default: '15s',
  },
  IDLE_TIMEOUT: {
    group: 'Proxy',
    meaning: 'longest silence within a body, either way',
    schema: timeout,
    default: '60s',
  },
  WEBSOCKET_IDLE_TIMEOUT: {
    group: 'Proxy',
    meaning: 'longest silence on an open WebSocket',
    schema: timeout,
    default: '10m',
  },
  ...cacheSetting,
  GATEWAY_CONFIG: {
    group: 'Address book',
    meaning: 'file of routes and services',
    schema: z.string(),
    unset: './gateway.yaml if present',
  },
  DISCOVERY: {
    group: 'Address book',
    meaning: 'where services are found, separated by commas, earlier ones win',
    schema: comma,
    default: 'static',
  },
  DISCOVERY_HOLD: {
    group: 'Address book',
    meaning: 'how long the last known instances are kept when a source says that there are none',
    schema: duration,
    default: '30s',
  },
  REGISTER: {
    group: 'Registration',
    meaning: 'whether the gateway registers itself in Consul',
    schema: z.stringbool('expected true or false'),
    unset: 'true where DISCOVERY has consul',
  },
  GATEWAY_SERVICE_NAME: {
    group: 'Registration',
    meaning: 'the name it registers under',
    schema: z
      .string()
      .regex(
        /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/,
        'expected letters, digits and dashes, such as gateway',
      ),
    default: 'gateway',
  },
  ADVERTISE_HOST: {
    group: 'Registration',
    meaning: "the address that others reach the gateway at, or auto for the machine's own",
    schema: host.refine(
      (text) => !['0.0.0.0', '::'].includes(text),
      'expected an address that others can reach',
    ),
    unset: "127.0.0.1 in development, the machine's own address in production",
  },
} as const satisfies Record<string, Setting>

type SettingName = keyof typeof settings

type Value<S extends Setting> = z.output<S['schema']> | (S extends { default: unknown } ? never : undefined)

/** What the variables say, defaults filled in. */
export type SettingValues = { readonly [Name in SettingName]: Value<(typeof settings)[Name]> }

/** `undefined` where it is neither. */
function toCidr(text: string): string | undefined {
  const [address = '', bits, ...rest] = text.split('/')
  if (isIP(address) === 0 || address.includes('%') || rest.length > 0) return undefined
  const most = isIPv4(address) ? 32 : 128
  if (bits === undefined) return `${address}/${most}`
  return /^\d{1,3}$/.test(bits) && Number(bits) <= most ? text : undefined
}
