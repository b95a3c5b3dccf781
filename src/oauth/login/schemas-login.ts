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
