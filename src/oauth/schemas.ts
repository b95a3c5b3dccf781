import { z } from 'zod'
import { credentials, subject } from '../tokens/schemas.ts'

const providerMessage = 'expected the name of a provider, such as google'
const provider = z
  .string(providerMessage)
  .regex(/^[a-z][a-z0-9-]{0,63}$/, providerMessage)
  .describe('Its name in `GET /oauth/providers`')

const ofClient = subject.optional().describe('Whose connections; for clients, which must say')

/** RFC 6749 appendix A: codes and states are visible ASCII and spaces. */
const visible = (most: number) => {
  const message = `expected 1 to ${most} visible ASCII characters`
  return z.string(message).regex(new RegExp(`^[\\x20-\\x7e]{1,${most}}$`), message)
}

const verifierMessage = 'expected 43 to 128 letters, digits, dots, hyphens, underscores and tildes'
const redirectUriMessage = "expected one of OAUTH_REDIRECT_URIS to the letter, or the gateway's own callback"

/** `POST /oauth` */
export const exchangeSchema = z.strictObject({
  provider,
  code: visible(4096).describe('As the provider gave it to the front end'),
  redirect_uri: z
    .string(redirectUriMessage)
    .max(2048, redirectUriMessage)
    .optional()
    .describe(
      "What the code was asked for with: one of `OAUTH_REDIRECT_URIS`, or the gateway's own callback, which it is " +
        'where it is left out',
    ),
  code_verifier: z
    .string(verifierMessage)
    .regex(/^[A-Za-z0-9._~-]{43,128}$/, verifierMessage)
    .optional()
    .describe('Where the code was asked for with a PKCE challenge (RFC 7636)'),
  state: visible(1024).optional().describe('What the code was asked for with; Naver wants to see it again'),
  nonce: visible(1024).optional().describe('What the code was asked for with, of providers with ID tokens'),
  iss: visible(1024).optional().describe('`iss` of the callback, where there was one (RFC 9207)'),
  subject: ofClient,
  ...credentials,
})
export const redirectUriFault = `redirect_uri: ${redirectUriMessage}`

/** `POST /oauth/:id/refresh` */
export const refreshConnectionSchema = z.strictObject({ subject: ofClient, ...credentials })

/** Whatever else there may be is for the endpoint to judge. */
export const namedSubjectSchema = z.object({ subject: ofClient })

const limitMessage = 'expected a whole number from 1 to 100'
const afterMessage = 'expected `next` of the page before'
/** `GET /oauth` */
export const listQuerySchema = z.strictObject({
  provider: provider.optional(),
  limit: z.coerce
    .number(limitMessage)
    .int(limitMessage)
    .min(1, limitMessage)
    .max(100, limitMessage)
    .default(20)
    .describe('How many at the most'),
  after: z
    .string(afterMessage)
    .regex(/^[\w-]{1,128}$/, afterMessage)
    .optional()
    .describe('`next` of the page before'),
  subject: ofClient,
})
export const afterFault = `after: ${afterMessage}`

/** `GET /oauth/:id`, `DELETE /oauth/:id` */
export const oneQuerySchema = z.strictObject({ subject: ofClient })

export const idPathSchema = z.object({ id: z.uuid().describe('Of the connection') })
export const providerPathSchema = z.object({ provider })

/** `GET /oauth/:provider/login` and `/callback`, as they are shown; login-start.ts and callback.ts check them. */
export const loginQuerySchema = z.object({
  return_to: z
    .url()
    .optional()
    .describe("One of `LOGIN_RETURN_URLS`, to the letter; the gateway's own login page where it is left out"),
  state: visible(512).optional().describe("The front end's own: it comes back with the code"),
  code_challenge: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/)
    .optional()
    .describe('SHA-256 of a `code_verifier` that has to be shown with the code (RFC 7636)'),
  code_challenge_method: z.literal('S256').optional(),
})
export const callbackQuerySchema = z.object({
  state: z.string(),
  code: z.string().optional(),
  error: z.string().optional(),
  iss: z.string().optional(),
})

/** A connection as everybody sees it; the token is there where it is good now. */
export const connectionSchema = z.object({
  id: z.uuid(),
  provider,
  provider_user_id: z.string().describe("The provider's id for the user"),
  profile: z.object({
    name: z.string().optional(),
    email: z.string().optional(),
    email_verified: z.boolean().describe('Whether the provider vouches for the address'),
    picture: z.string().optional(),
  }),
  state: z
    .enum(['active', 'needs_reauth'])
    .describe('`needs_reauth`: the user has to log in again, at `login_url`'),
  scope: z.string().describe('Empty where the provider did not say'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  last_refreshed_at: z.iso.datetime().optional(),
  access_token: z.string().optional().describe("The provider's, good now"),
  token_type: z.string().optional(),
  expires_in: z.int().nonnegative().optional().describe('Seconds; left out where the token does not expire'),
  login_url: z.url().optional().describe('Where the user connects the account anew'),
  error: z.string().optional().describe('In a list: the code that says why there is no token now'),
})
export type ConnectionReply = z.output<typeof connectionSchema>

export const connectionListSchema = z.object({
  connections: z.array(connectionSchema).describe('Newest first'),
  next: z.string().optional().describe('`after` of the next page, where there is one'),
})
export type ConnectionListReply = z.output<typeof connectionListSchema>

export const removalSchema = z.object({
  id: z.uuid(),
  revocation: z
    .enum(['done', 'queued', 'unsupported'])
    .describe(
      'Whether the grant has ended at the provider: `queued` where it was away and is asked again later, ' +
        '`unsupported` where it has no way to end one',
    ),
})
export type RemovalReply = z.output<typeof removalSchema>

export const providerListSchema = z.object({
  providers: z.array(
    z.object({
      name: z.string(),
      title: z.string().describe('As on a button'),
      enabled: z.boolean(),
      login_url: z.url().optional().describe('Where a login begins, of one that is enabled'),
      missing: z.array(z.string()).optional().describe('The settings that one that is not enabled lacks'),
    }),
  ),
})
export type ProviderListReply = z.output<typeof providerListSchema>
