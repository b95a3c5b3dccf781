import { z } from 'zod'
import { tokenReplySchema } from '../../tokens/schemas.ts'

const codeMessage = 'expected the code that the login came back with'
const verifierMessage = 'expected 1 to 128 letters, digits and - . _ ~'

/** `POST /oauth/login/complete` */
export const completeSchema = z.strictObject({
  code: z
    .string(codeMessage)
    .min(1, codeMessage)
    .describe('The code that the browser came back with: good once, for a minute'),
  code_verifier: z
    .string(verifierMessage)
    .regex(/^[A-Za-z0-9._~-]{1,128}$/, verifierMessage)
    .optional()
    .describe('Where the login was begun with a code_challenge, what it was made of (RFC 7636, S256)'),
  same_browser: z
    .boolean('expected true or false, in JSON')
    .optional()
    .describe(
      "Asks that this be the browser in which the login was begun, by its cookie: for pages of the gateway's own origin",
    ),
  connect: z
    .boolean('expected true or false, in JSON')
    .optional()
    .describe(
      'Adds the account to the user whose Bearer token the request bears, instead of logging somebody in. ' +
        'The login must have been begun with a code_challenge, or in the same_browser',
    ),
})

const code = (message: string) => z.string(message).min(1, message).max(4096, message)

/** `POST /oauth/token` with a code. Parameters that are not known are no offence (RFC 6749 §3.2). */
export const codeGrantSchema = z.object({
  grant_type: z.literal('authorization_code'),
  code: code('expected the code that came back to redirect_uri').describe('Good once, for a minute'),
  redirect_uri: code('expected what the code was asked for with').describe(
    'To the letter as at `/oauth/authorize`',
  ),
  client_id: z.string().optional().describe('The same as there'),
  code_verifier: z
    .string('expected what the code_challenge was made of')
    .regex(/^[A-Za-z0-9._~-]{43,128}$/, 'expected 43 to 128 letters, digits and - . _ ~')
    .describe('What the `code_challenge` was made of (RFC 7636)'),
})

/** `POST /oauth/token` as it is shown. */
export const tokenRequestSchema = codeGrantSchema.partial().extend({
  grant_type: z.enum(['authorization_code', 'refresh_token']),
  refresh_token: z.string().optional(),
  scope: z.string().optional().describe('With a refresh token: fewer scopes, for this access token only'),
})

/** `GET /oauth/authorize` as it is shown; authorize.ts checks it. */
export const authorizeQuerySchema = z.object({
  response_type: z.literal('code'),
  client_id: z
    .enum(['munjigi', 'munjigi-docs'])
    .describe("`munjigi`: a front end; the other is the gateway's docs"),
  redirect_uri: z.url().describe('For `munjigi` one of `LOGIN_RETURN_URLS`, to the letter'),
  code_challenge: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/)
    .describe('SHA-256 of the `code_verifier` in base64url (RFC 7636)'),
  code_challenge_method: z.literal('S256'),
  state: z.string().max(512).optional().describe("The client's own: it comes back with the code"),
  scope: z.string().optional().describe('Some of `LOGIN_SCOPE`, which it is where it is left out'),
  provider: z.string().optional().describe('Where to log in: without it a page asks'),
})

/** A login's: the gateway's own tokens, and whose they are. */
export const loginReplySchema = tokenReplySchema.extend({
  subject: z.string().describe('Who has logged in: `sub` of the access token'),
  provider: z.string(),
  connection_id: z.uuid().describe("Where the provider's own tokens are kept: GET /oauth/{id}"),
  name: z.string().optional().describe('As the provider says'),
})
export type LoginReply = z.output<typeof loginReplySchema>

/** With `connect`. */
export const connectReplySchema = z.object({ id: z.uuid(), provider: z.string(), subject: z.string() })
export type ConnectReply = z.output<typeof connectReplySchema>
