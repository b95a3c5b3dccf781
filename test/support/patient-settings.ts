/**
 * Settings of every gateway and house under test, unless the test says otherwise: what is waited for comes, however
 * long the machine takes to do it, and nobody is turned away because the event loop is late.
 */
export const patientSettings: Readonly<Record<string, string>> = {
  CONNECT_TIMEOUT: '60s',
  DATABASE_CONNECT_TIMEOUT: '60s',
  DATABASE_STATEMENT_TIMEOUT: '60s',
  OAUTH_PROVIDER_TIMEOUT: '60s',
  REVOCATION_MAX_STALENESS: '10m',
  OVERLOAD_DELAY: '0s',
}
