import { z } from 'zod'
import { claimsFault } from './claims.ts'

/** RFC 6749 appendix A.4: scope tokens, one space between two. */
const scopeText = /^(?:[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*)?$/
const scopeMessage =
  'expected scopes separated by single spaces, such as profile email, at most 1024 characters'
const scope = z
  .string(scopeMessage)
  .max(1024, scopeMessage)
  .regex(scopeText, scopeMessage)
  .describe('Scopes separated by spaces (RFC 6749 §3.3)')

const subjectMessage = 'expected 1 to 255 visible ASCII characters without spaces'
export const subject = z
  .string(subjectMessage)
  .regex(/^[\x21-\x7e]{1,255}$/, subjectMessage)
  .describe('Whose tokens they are (`sub`)')

const audienceMessage = 'expected 1 to 255 visible ASCII characters, or a list of 1 to 4 such'
const oneAudience = z.string(audienceMessage).regex(/^[\x21-\x7e]{1,255}$/, audienceMessage)
const audience = z
  .union([oneAudience, z.array(oneAudience).min(1, audienceMessage).max(4, audienceMessage)], audienceMessage)
  .describe('Whom the access tokens are for (`aud`); the gateway itself where it is left out')

const claims = z
  .looseObject({}, 'expected a JSON object')
  .superRefine((value, context) => {
    const fault = claimsFault(value)
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
  })
  .describe('Further claims of the access tokens, at most 2 KB. In a form: JSON')

const text = z.string('expected a text').min(1, 'expected a text that is not empty')
/** Checked with the credentials, see clients.ts; here so that they are known members. */
export const credentials = {
  client_id: text.optional().describe("The client's id, where it does not use HTTP Basic"),
  client_secret: text.optional().meta({ description: "The client's secret", format: 'password' }),
}
const token = text.describe('An access token or a refresh token')
const tokenTypeHint = text
  .optional()
  .describe('`access_token` or `refresh_token`; tokens are told apart without it')

export const createSchema = z.strictObject({
  subject,
  scope: scope.optional(),
  audience: audience.optional(),
  claims: claims.optional(),
  ...credentials,
})

// The endpoints of RFCs take no offence at parameters they do not know (RFC 6749 §3.2); those of our own do.

export const refreshSchema = z.object({
  refresh_token: text,
  grant_type: z.literal('refresh_token', 'expected refresh_token').optional(),
  scope: scope
    .optional()
    .describe('Fewer scopes than the session has, for this access token only; an empty text for all of them'),
  ...credentials,
})

export const introspectSchema = z.object({ token, token_type_hint: tokenTypeHint, ...credentials })

const oneOfBoth = 'expected either token or subject'
export const revokeSchema = z
  .object({
    token: token.optional(),
    token_type_hint: tokenTypeHint,
    subject: subject.optional().describe('Ends every session of this subject; for clients only'),
    ...credentials,
  })
  .refine((body) => (body.token === undefined) !== (body.subject === undefined), oneOfBoth)

const dummyMessage = 'expected 1 to 4096 characters, not all of them blank'
export const dummySchema = z.strictObject({
  access_token: z
    .string(dummyMessage)
    .max(4096, dummyMessage)
    .regex(/\S/, dummyMessage)
    .optional()
    .describe('Any text: it becomes the access token'),
  subject: subject.optional(),
  scope: scope.optional(),
})

/** What a request for tokens is answered with (RFC 6749 §5.1). */
export const tokenReplySchema = z.object({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: z.int().positive().describe('Seconds until the access token expires'),
  refresh_token: z.string().describe('To be used once, at /tokens/refresh'),
  scope: z.string().describe('Empty for none'),
  created_at: z.iso.datetime(),
})
export type TokenReply = z.output<typeof tokenReplySchema>

export const dummyReplySchema = tokenReplySchema.partial({ refresh_token: true })
export type DummyReply = z.output<typeof dummyReplySchema>

/** RFC 7662 §2.2. */
export const introspectionSchema = z.union([
  z.strictObject({ active: z.literal(false) }),
  z.object({
    active: z.literal(true),
    token_type: z.enum(['Bearer', 'refresh_token']),
    sub: z.string(),
    client_id: z.string(),
    scope: z.string().optional(),
    exp: z.int(),
    iat: z.int().optional(),
    iss: z.string().optional(),
    aud: z.union([z.string(), z.array(z.string())]).optional(),
    jti: z.string().optional(),
  }),
])
export type Introspection = z.output<typeof introspectionSchema>

/** RFC 7517 §5. */
export const jwksSchema = z.object({
  keys: z.array(
    z.object({
      kty: z.string(),
      crv: z.string(),
      x: z.string(),
      y: z.string(),
      kid: z.string(),
      alg: z.string(),
      use: z.literal('sig'),
    }),
  ),
})

/** RFC 8414 §2. */
export const metadataSchema = z.object({
  issuer: z.url(),
  jwks_uri: z.url(),
  authorization_endpoint: z.url().optional().describe('Where somebody can log in'),
  token_endpoint: z.url(),
  token_endpoint_auth_methods_supported: z.array(z.string()),
  grant_types_supported: z.array(z.string()),
  response_types_supported: z.array(z.string()),
  code_challenge_methods_supported: z.array(z.string()).optional(),
  introspection_endpoint: z.url(),
  introspection_endpoint_auth_methods_supported: z.array(z.string()),
  revocation_endpoint: z.url(),
  revocation_endpoint_auth_methods_supported: z.array(z.string()),
})
export type Metadata = z.output<typeof metadataSchema>
