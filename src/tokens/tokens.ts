import type { Config } from '../config/config.ts'
import type { Log } from '../observability/log.ts'
import { createGuard, type Guard } from './guard.ts'
import { createTrustedIssuer } from './issuers.ts'
import { createVerifiedTokens } from './verified.ts'
import { createVerifier } from './verify.ts'

/** Everything that has to do with who is calling. */
export interface Tokens {
  readonly guard: Guard
  start(): Promise<void>
  stop(): Promise<void>
}

/** Puts together what issues, checks and revokes tokens. */
export function createTokens({ config, log }: { config: Config; log: Log }): Tokens {
  const { issuer, audience, trustedIssuers, headers, verifiedTokens } = config.tokens
  const trusted = trustedIssuers.map((one) => createTrustedIssuer({ ...one, log }))
  const verifier = createVerifier({ keys: undefined, issuer, audience, trusted })
  const guard = createGuard({
    verifier,
    verified: createVerifiedTokens(verifiedTokens),
    denials: undefined,
    issuer,
    dummies: undefined,
    headers,
  })
  return {
    guard,
    async start() {
      for (const one of trusted) one.start()
    },
    async stop() {
      for (const one of trusted) one.stop()
    },
  }
}
