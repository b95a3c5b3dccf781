import { z } from 'zod'

/** What is asked and answered. The API document is made of these as well: see openapi.ts. */

const emailMessage = 'expected an e-mail address of at most 254 characters'
/** Compared and stored without surrounding spaces and in lower case. */
const email = z
  .string(emailMessage)
  .trim()
  .toLowerCase()
  .max(254, emailMessage)
  .check(z.email(emailMessage))
  .meta({ example: 'ann@example.com' })

const leastPasswordLength = 8
const mostPasswordLength = 200

/** The same text however it was typed (NIST SP 800-63B §5.1.1.2); characters are counted after that. */
const password = (least: number, message: string) =>
  z
    .string(message)
    .refine((text) => text.isWellFormed(), message)
    .transform((text) => text.normalize('NFKC'))
    .refine((text) => {
      const { length } = [...text]
      return length >= least && length <= mostPasswordLength
    }, message)
    .meta({
      type: 'string',
      format: 'password',
      minLength: least,
      maxLength: mostPasswordLength,
      example: 'correct horse battery staple',
    })

const nameMessage = 'expected a name of 1 to 100 characters, without control characters'
const name = z
  .string(nameMessage)
  .trim()
  .min(1, nameMessage)
  .max(100, nameMessage)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), nameMessage)
  .meta({ example: 'Ann' })

const object = 'expected a JSON object'

export const signupRequest = z.strictObject(
  {
    email,
    password: password(
      leastPasswordLength,
      `expected ${leastPasswordLength} to ${mostPasswordLength} characters`,
    ),
    name: name.optional(),
  },
  object,
)

export const loginRequest = z.strictObject(
  { email, password: password(1, `expected 1 to ${mostPasswordLength} characters`) },
  object,
)

const id = z.string().meta({ example: '7b0c2c57-6a6c-4a2e-9f0e-0a4f4d1d9a11' })
const createdAt = z.string().meta({ format: 'date-time', example: '2026-11-23T09:00:00.000Z' })

/** Who has just signed up. */
export const user = z.object({ id, email, name: name.optional(), created_at: createdAt })

/** Who is calling: a subject that is no user of this service has an id and a scope, and no more. */
export const me = z.object({
  id,
  email: email.optional(),
  name: name.optional(),
  created_at: createdAt.optional(),
  scope: z.string().meta({ description: "the token's, space-separated", example: 'profile' }),
})

/** The gateway's, passed on as it came; further members are its own affair. */
export const tokenPair = z.looseObject({
  access_token: z.string().min(1).meta({ example: 'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9…' }),
  token_type: z.string().meta({ example: 'Bearer' }),
  expires_in: z.number().meta({ description: 'seconds', example: 900 }),
  refresh_token: z.string().optional().meta({ example: 'tGzv3JOkF0XG5Qx2TlKWIA' }),
  scope: z.string().optional().meta({ example: 'profile' }),
  created_at: createdAt.optional(),
})

export type TokenPair = z.output<typeof tokenPair>
