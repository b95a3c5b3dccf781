/**
 * How often somebody may fail to authenticate at `/tokens/*`: see authentication-failures.ts for how guessing is slow
 * and nobody is refused for what others do. A client id is only ever that of a client there is; of the others, which
 * nobody can guess the secret of, the address alone counts.
 */
export interface AuthenticationFailures {
  /**
   * Asked before a secret is looked at.
   * @throws GatewayError (rejects with) `too_many_requests` (429, Retry-After) where this address has failed too often
   *   at this client
   */
  blocked(address: string, clientId: string | undefined): Promise<void>
  /**
   * Counts a failure.
   * @throws GatewayError (rejects with) `too_many_requests` where this address has failed too often, at whatever client
   */
  failed(address: string, clientId: string | undefined): Promise<void>
}
