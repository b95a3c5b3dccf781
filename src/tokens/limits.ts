/**
 * How often somebody may fail to authenticate at `/tokens/*`, by address, and by client id where that is under attack
 * from many addresses; see authentication-failures.ts for how guessing is slow and nobody is locked out.
 */
export interface AuthenticationFailures {
  /**
   * Asked before credentials are looked at.
   * @throws GatewayError (rejects with) `too_many_requests` (429, Retry-After) where this address has failed too often
   */
  blocked(address: string, clientId: string | undefined): Promise<void>
  /** Counts a failure. */
  failed(address: string, clientId: string | undefined): Promise<void>
}
