import { createHash, randomBytes } from 'node:crypto'

/** 256 bits that nobody can guess, as text that URLs and cookies take as it is. */
export const randomText = () => randomBytes(32).toString('base64url')

/** What is told before the login of a secret that is shown after it (RFC 7636 §4.2). */
export const challengeOf = (verifier: string) => createHash('sha256').update(verifier).digest('base64url')
