import { z } from 'zod'
import { duration, timeout } from '../discovery/description.ts'
import type { Setting } from './settings.ts'

const lifetimeMessage = 'expected a lifetime such as 15m, 12h or 30d, of at most 400d'
const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 }

/** A lifetime in whole seconds, OAuth's unit. */
const lifetime = z
  .string()
  .regex(/^[1-9]\d{0,6}[smhd]$/, lifetimeMessage)
  .transform((text) => Number(text.slice(0, -1)) * unitSeconds[text.at(-1) as keyof typeof unitSeconds])
  .refine((seconds) => seconds <= 400 * unitSeconds.d, lifetimeMessage)

const accessLifetime = lifetime.refine((seconds) => seconds <= 900, 'expected at most 15m')

const clientsMessage = 'expected pairs of id:secret, separated by commas, without spaces'
const clients = z
  .string()
  .transform((text) => text.split(',').map((item) => toClient(item.trim())))
  .pipe(z.array(z.object({ id: z.string(), secret: z.string() }, clientsMessage)))
  .refine(
    (pairs) =>
      Map.groupBy(pairs, ({ id }) => id)
        .values()
        .every(isOneClient),
    'expected each id once, or twice with two secrets while its secret is changed',
  )
  .refine(
    (pairs) => pairs.every(({ id }) => !/^munjigi(?:-docs)?$/.test(id)),
    "expected other ids than munjigi and munjigi-docs, which are the gateway's own",
  )

function isOneClient(pairs: readonly { readonly secret: string }[]): boolean {
  return pairs.length === 1 || (pairs.length === 2 && pairs[0]!.secret !== pairs[1]!.secret)
}

const issuersMessage =
  'expected "issuer jwks-url audience", three words, several separated by commas, such as ' +
  'https://login.example.com https://login.example.com/jwks.json my-api'
const trustedIssuers = z
  .string()
  .transform((text) => text.split(',').map((item) => toIssuer(item.trim())))
  .pipe(z.array(z.object({ issuer: z.string(), jwksUrl: z.string(), audience: z.string() }, issuersMessage)))
  .refine(
    (issuers) => new Set(issuers.map(({ issuer }) => issuer)).size === issuers.length,
    'expected each issuer once',
  )

const headerMessage = 'expected a header name that begins with X-, such as X-User-Id'
export const headerName = z
  .string()
  .regex(/^x-[a-z0-9]+(?:-[a-z0-9]+)*$/i, headerMessage)
  .refine(
    (name) => !/^x-(?:request-id|real-ip|forwarded-.*)$/i.test(name),
    'expected a name that the gateway uses for nothing else, such as X-User-Id',
  )

const countMessage = 'expected a whole number from 0 to 1000000'
const count = z
  .string()
  .regex(/^\d{1,7}$/, countMessage)
  .transform(Number)
  .refine((value) => value <= 1_000_000, countMessage)

/** The client that a development gateway knows when it was told of none; refused in production. */
export const developmentClient = { id: 'dev-client', secret: 'dev-secret' } as const

/** Who may mint tokens, how long they live, whose others are believed, and what the houses are told. */
export const tokenSettings = {
  GATEWAY_CLIENTS: {
    group: 'Tokens',
    meaning:
      'services that may mint and introspect tokens, as id:secret, separated by commas; an id twice while its secret is changed',
    schema: clients,
    unset: `${developmentClient.id}:${developmentClient.secret} in development, none in production`,
    secret: true,
  },
  TOKEN_AUDIENCE: {
    group: 'Tokens',
    meaning: 'the audience that a token must name to pass the door (RFC 9068)',
    schema: z.string(),
    unset: 'PUBLIC_URL',
  },
  ACCESS_TOKEN_LIFETIME: {
    group: 'Tokens',
    meaning: 'of an access token, at most 15m',
    schema: accessLifetime,
    default: '15m',
  },
  REFRESH_TOKEN_LIFETIME: {
    group: 'Tokens',
    meaning: 'of a refresh token that is not used',
    schema: lifetime,
    default: '30d',
  },
  SESSION_LIFETIME: {
    group: 'Tokens',
    meaning: 'how long a session may be refreshed in all',
    schema: lifetime,
    default: '90d',
  },
  REFRESH_GRACE: {
    group: 'Tokens',
    meaning:
      'how long a refresh token that was just used gets the same successor again instead of ending its session',
    schema: duration.refine((ms) => ms <= 60_000, 'expected at most 60s'),
    default: '0s',
  },
  SIGNING_KEY_LIFETIME: {
    group: 'Tokens',
    meaning: 'how long a key signs before the next one takes its place',
    schema: lifetime.refine((seconds) => seconds >= 3600, 'expected at least 1h'),
    default: '30d',
  },
  REVOCATION_POLLING_INTERVAL: {
    group: 'Tokens',
    meaning: 'how often revocations are read where no notification came; usually they are known within 1s',
    schema: timeout,
    default: '5s',
  },
  REVOCATION_MAX_STALENESS: {
    group: 'Tokens',
    meaning: 'how old the knowledge of revocations may be before guarded routes answer 503',
    schema: timeout,
    default: '30s',
  },
  VERIFIED_TOKENS: {
    group: 'Tokens',
    meaning: 'how many verified tokens are remembered; 0 for none',
    schema: count,
    default: '10000',
  },
  TRUSTED_ISSUERS: {
    group: 'Tokens',
    meaning: 'other issuers whose tokens pass the door, as "issuer jwks-url audience", separated by commas',
    schema: trustedIssuers,
    unset: 'none',
  },
  USER_ID_HEADER: {
    group: 'Tokens',
    meaning: "header that tells a house the caller's subject",
    schema: headerName,
    default: 'X-User-Id',
  },
  USER_SCOPE_HEADER: {
    group: 'Tokens',
    meaning: "header that tells a house the token's scope",
    schema: headerName,
    default: 'X-User-Scope',
  },
  USER_ISSUER_HEADER: {
    group: 'Tokens',
    meaning: 'header that tells a house who issued the token: a subject is unique only with its issuer',
    schema: headerName,
    default: 'X-User-Issuer',
  },
} as const satisfies Record<string, Setting>

/** RFC 6749 appendix A.1 and A.2, without what separates pairs. */
function toClient(text: string): { id: string; secret: string } | undefined {
  const [, id, secret] =
    /^([\x21-\x2b\x2d-\x39\x3b-\x7e]{1,128}):([\x21-\x2b\x2d-\x7e]{1,512})$/.exec(text) ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret }
}

function toIssuer(text: string): { issuer: string; jwksUrl: string; audience: string } | undefined {
  const [issuer = '', jwksUrl = '', audience = '', ...rest] = text.split(/\s+/)
  const valid = /^https?:\/\//.test(issuer) && /^https?:\/\//.test(jwksUrl) && URL.canParse(jwksUrl)
  return valid && audience !== '' && rest.length === 0 ? { issuer, jwksUrl, audience } : undefined
}
