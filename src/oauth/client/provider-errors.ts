import { type ErrorCode, GatewayError } from '../../errors.ts'

/** What a provider is asked for. */
export type QuestionKind = 'exchange' | 'refresh' | 'profile' | 'revocation' | 'keys' | 'discovery'

/** What a no of a provider's says, as its dialect reads it. */
export interface Refusal {
  /** As the provider names it; shown only where it can be nothing else than a name. */
  readonly code?: string
  /** Whether it means that the code or the refresh token is not (or no longer) good. */
  readonly dead: boolean
}

/** Makes of whatever was thrown, or is wrong, the error of one provider. The cause is never kept: it may be a reply. */
export interface ProviderErrors {
  readonly refused: (kind: QuestionKind, refusal: Refusal, sent: readonly string[]) => GatewayError
  readonly badResponse: (what: string) => GatewayError
  readonly unreachable: (what: string) => GatewayError
  readonly timeout: () => GatewayError
  /** For what openid-client and jose throw, whose errors carry replies and claims. */
  readonly from: (error: unknown) => GatewayError
}

/** @param title the provider's, as people know it */
export function createProviderErrors(title: string, timeoutMs: number): ProviderErrors {
  const make = (code: ErrorCode, what: string) => new GatewayError(code, { detail: `${title} ${what}.` })
  const badResponse = (what: string) => make('provider_bad_response', what)
  return {
    badResponse,
    unreachable: (what) => make('provider_unreachable', what),
    timeout: () => make('provider_timeout', `has not answered within ${timeoutMs / 1000} s`),
    refused(kind, { code, dead }, sent) {
      if (dead) {
        const what =
          kind === 'exchange' ? 'the code is not valid, or was used before' : 'it grants this no longer'
        return make('invalid_grant', `says that ${what}`)
      }
      const name = code !== undefined && isName(code) && !resembles(code, sent) ? ` (${code})` : ''
      return make('provider_refused', `has refused the ${asked[kind]}${name}`)
    },
    from: (error) => ownErrorIn(error) ?? badResponse('has sent a reply that cannot be used'),
  }
}

const asked = {
  exchange: 'exchange of the code',
  refresh: 'refresh',
  profile: 'profile',
  revocation: 'revocation',
  keys: 'keys',
  discovery: 'discovery document',
} as const satisfies Record<QuestionKind, string>

/** Words, a number or a number with letters before it (`KOE320`): what a token or a code never looks like. */
function isName(code: string): boolean {
  return code.length <= 64 && /^(?:[a-z]+(?:[_.-][a-z]+)*|[A-Z]{0,4}\d{1,6})$/.test(code)
}

/** A provider that is hostile, or careless, repeats what it was sent. */
function resembles(code: string, sent: readonly string[]): boolean {
  return sent.some((value) => value.includes(code))
}

/** openid-client wraps what its fetch throws. */
function ownErrorIn(error: unknown): GatewayError | undefined {
  let inner = error
  for (let depth = 0; depth < 4; depth += 1) {
    if (inner instanceof GatewayError) return inner
    inner = inner instanceof Error ? inner.cause : undefined
  }
  return undefined
}
