import { z } from 'zod'
import { type BalancingPolicyName, balancingPolicies } from '../proxy/balance/index.ts'
import { rateLimits } from './rate-settings.ts'

// Every message begins with "expected": faults of gateway.yaml, the environment and tags are built from them.

const durationText = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/
const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const longestDurationMs = 24 * unitMs.h

/** A duration as people write it (`15s`, `500ms`, `2m`), as whole milliseconds; at most a day. */
export const duration = z
  .string('expected a duration such as 500ms, 15s or 2m')
  .regex(durationText, 'expected a duration such as 500ms, 15s or 2m')
  .transform((text) => {
    const [, amount, unit] = durationText.exec(text)!
    return Math.round(Number(amount) * unitMs[unit as keyof typeof unitMs])
  })
  .refine((ms) => ms <= longestDurationMs, 'expected a duration of at most 24h')

/** A duration that something is given up after. */
export const timeout = duration.refine((ms) => ms > 0, 'expected a duration longer than 0, such as 15s')

/** A path prefix: absolute, whole segments, nothing that a house could read differently. */
export const pathPrefix = z
  .string('expected a path such as /api/users')
  .regex(
    /^\/(?:[A-Za-z0-9._~!$&'()*+,=:@-]+(?:\/[A-Za-z0-9._~!$&'()*+,=:@-]+)*)?$/,
    'expected a path such as /api/users, without a trailing slash, escapes or query',
  )
  .refine((path) => !path.split('/').some((segment) => segment === '.' || segment === '..'), {
    message: 'expected a path without . or .. segments',
  })

/** Tags and annotations are strings, gateway.yaml has types: both spell the same value. */
const flag = z.union([z.boolean(), z.stringbool()], 'expected true or false')

const wholeNumber = (least: number, most: number) => {
  const message = `expected a whole number from ${least} to ${most}`
  return z
    .union(
      [
        z.number().meta({ type: 'integer', minimum: least, maximum: most }),
        z
          .string()
          .regex(/^\d{1,5}$/)
          .transform(Number),
      ],
      message,
    )
    .pipe(z.int(message).min(least, message).max(most, message))
}

const percentMessage = 'expected a percentage such as 50%'

/** A share, in whole per cent: `50%`, or 50. */
const percentage = z.union(
  [
    z.int(percentMessage).min(0, percentMessage).max(100, percentMessage),
    z
      .string()
      .regex(/^(?:100|\d{1,2})%?$/)
      .transform((text) => Number.parseInt(text, 10)),
  ],
  percentMessage,
)

/** RFC 6749, appendix A.4: scope-token. */
const scopeToken = z
  .string('expected a scope such as users:read')
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'expected a scope such as users:read')
const scopeMessage = 'expected scopes such as users:read, separated by spaces or as a list'
const scopes = z.union(
  [
    z
      .string()
      .meta({ pattern: '[^\\s,]' })
      .transform((text) => text.split(/[\s,]+/).filter(Boolean))
      .pipe(z.array(scopeToken).min(1, scopeMessage)),
    z.array(scopeToken).min(1, scopeMessage),
  ],
  scopeMessage,
)

const authModes = z.enum(['none', 'optional', 'required'], 'expected none, optional or required')

/** A prefix with a word of its own on who may pass. */
export interface GuardedPath {
  readonly prefix: string
  readonly auth?: 'none' | 'optional' | 'required' | undefined
  readonly scope?: readonly string[] | undefined
}

const pathMessage =
  'expected a path such as /api/users, which may go on as in "/api/user/me; auth=required; scope=profile"'

/** Roughly what is read below, for editors. */
const pathPattern =
  "^\\s*/[A-Za-z0-9._~!$&'()*+,=:@/-]*\\s*(?:;\\s*(?:auth\\s*=\\s*(?:none|optional|required)|scope\\s*=[^;]+)\\s*)*$"
const pathText = z.string(pathMessage).meta({ pattern: pathPattern })

/**
 * `/api/users`, or with a word of its own on who may pass: `/api/user/me; auth=required; scope=profile`. One text
 * for both, since a tag has no place for anything else.
 */
const path = pathText.transform((text, context): string | GuardedPath => {
  const [prefix = '', ...parameters] = text.split(';').map((part) => part.trim())
  const checked = pathPrefix.safeParse(prefix)
  const refuse = (message: string) => {
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  }
  if (!checked.success) return refuse(checked.error.issues[0]!.message)
  if (parameters.length === 0) return prefix
  const words = parameters.map((parameter) => /^(auth|scope)\s*=\s*(.+)$/.exec(parameter))
  const names = words.map((word) => word?.[1])
  if (names.includes(undefined) || new Set(names).size < names.length) return refuse(pathMessage)
  const wordsByName = Object.fromEntries(words.map((word) => [word![1], word![2]]))
  const guard = z.strictObject({ auth: authModes, scope: scopes }).partial().safeParse(wordsByName)
  if (!guard.success) return refuse(`${pathMessage}; ${guard.error.issues[0]!.message}`)
  return { prefix, ...guard.data }
})

const paths = z
  .union([path, z.array(path).min(1)], 'expected a path such as /api/users, or a list of them')
  .transform((value) => (Array.isArray(value) ? value : [value]))

const serviceNameMessage = 'expected the name of a service such as users'
const serviceName = z
  .string(serviceNameMessage)
  .regex(/^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/, serviceNameMessage)

const headerValueMessage = 'expected a header and its value such as X-Canary=1'
/** RFC 9110 §5.6.2 and §5.5: a token, and visible characters. */
const headerValuePattern = /^([!#$%&'*+.^`|~\w-]+)=([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/
const headerValue = z
  .string(headerValueMessage)
  .regex(headerValuePattern, headerValueMessage)
  .transform((text) => {
    const [, name = '', value = ''] = headerValuePattern.exec(text) ?? []
    return { name: name.toLowerCase(), value }
  })

const cacheMessage = 'expected whole seconds such as 30s or 5m, or false for no cache'

/** Whole seconds, as HTTP counts lifetimes. */
const cacheLifetime = z.union(
  [
    z.literal(false),
    z.literal('false').transform(() => false as const),
    duration.refine((ms) => ms % 1000 === 0, cacheMessage),
  ],
  cacheMessage,
)

const documentMessage = 'expected a path such as /openapi.json, or false for none'
const portMessage = 'expected a port number from 1 to 65535, or the name of a port'
const providerMessage = 'expected the name of a provider such as google'
const policyNames = Object.keys(balancingPolicies) as [BalancingPolicyName]

/**
 * How a service describes its routes: the same words in Consul tags, Kubernetes annotations and gateway.yaml.
 * Absent keys take the defaults of table.ts.
 */
export const descriptionSchema = z
  .strictObject({
    enable: flag.describe('opt in; a registered service is invisible until it says so'),
    path: paths.describe('one or more path prefixes, matched by whole segments, longest first'),
    strip: z
      .union([pathPrefix, z.literal('')], 'expected a path such as /api, or "" to strip nothing')
      .describe('what is cut from the front of the path before forwarding'),
    auth: authModes.describe('who may pass'),
    scope: scopes.describe('scopes the token must carry'),
    timeout: timeout.describe('deadline of the whole request'),
    retries: wholeNumber(0, 10).describe('further attempts, only where safe'),
    openapi: z
      .union(
        [
          z.literal(false),
          z.literal('false').transform(() => false as const),
          // Not `//…`: as a URL reference that would name another host.
          z.string().regex(/^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/, documentMessage),
        ],
        documentMessage,
      )
      .describe('where the API description is; false for none'),
    inject: z
      .string(providerMessage)
      .regex(/^[a-z][a-z0-9-]*$/, providerMessage)
      .describe('provider whose token of the caller is forwarded'),
    cache: cacheLifetime.describe(
      'replies are stored by RFC 9111: freshness lifetime of those that say nothing of it; false for no cache',
    ),
    port: z
      .union(
        [
          z.int(portMessage).min(1, portMessage).max(65535, portMessage),
          z
            .string()
            .regex(/^\d{1,5}$/)
            .transform(Number)
            .pipe(z.int(portMessage).min(1, portMessage).max(65535, portMessage)),
          z.string().regex(/^(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_-]*$/, portMessage),
        ],
        portMessage,
      )
      .describe('port name or number'),
    protocol: z.enum(['http', 'https'], 'expected http or https').describe('how the house is spoken to'),
    'eject-after': wholeNumber(0, 1000).describe('failures in a row that eject an instance; 0 for never'),
    'eject-time': timeout.describe('for how long the first time; ever longer after that'),
    'eject-share': percentage.describe('how much of the service may be ejected at once, but always one'),
    panic: percentage.describe('where less of the service would be left, all of it is used; 0% for never'),
    'slow-start': duration.describe('over how long a new instance comes to its share'),
    'retry-budget': percentage.describe('how much of the requests of the last 10 s may be retries'),
    concurrency: wholeNumber(1, 99_999).describe(
      'requests that an instance gets at a time; absent for no limit',
    ),
    queue: wholeNumber(0, 99_999).describe('requests that may wait where every instance has that many'),
    'queue-timeout': timeout.describe('for how long they wait'),
    rate: rateLimits.describe('requests that each user or address may make on each of its paths'),
    'canary-of': serviceName.describe(
      'service of which this one answers some requests; it has no path of its own',
    ),
    'canary-percent': percentage.describe('how many of them'),
    'canary-header': headerValue.describe('those that have this header'),
    'mirror-to': serviceName.describe('service that is sent copies of requests; its replies are thrown away'),
    'mirror-percent': percentage.describe('of how many of them'),
    balance: z.enum(policyNames, `expected one of ${policyNames.join(', ')}`).describe('balancing policy'),
  })
  .partial()

/** What a service (or the operator, in gateway.yaml) says of its routes. */
export type Description = Readonly<z.output<typeof descriptionSchema>>
