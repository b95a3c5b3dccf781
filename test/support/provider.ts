import type { ExecutionContext } from 'ava'
import { GatewayError } from '../../src/errors.ts'
import type { Provider } from '../../src/oauth/provider.ts'
import { providerKinds } from '../../src/oauth/providers/index.ts'
import type { Dialects } from './dialects.ts'

export const callback = 'https://gateway.example.com/oauth/callback'

/** The provider of that name, as these settings make it. */
export function provider(
  env: Readonly<Record<string, string>>,
  name: string,
  tools: { readonly timeoutMs?: number; readonly now?: () => number } = {},
): Provider {
  const readings = providerKinds.map((kind) => kind.read(env, false))
  const faults = readings.flatMap((reading) => reading.faults)
  if (faults.length > 0) throw new Error(JSON.stringify(faults))
  const found = readings.flatMap((reading) => reading.configured).find((one) => one.name === name)
  if (found === undefined) throw new Error(`${name} is not configured`)
  return found.create({ timeoutMs: 10_000, ...tools })
}

/** What a login was begun with. */
export function attempt() {
  return {
    redirectUri: callback,
    state: crypto.randomUUID(),
    nonce: crypto.randomUUID(),
    codeVerifier: `${crypto.randomUUID()}-${crypto.randomUUID()}`,
  }
}

/** A login up to the code that comes back, as what the exchange is given. */
export async function code(dialects: Pick<Dialects, 'sayYes'>, asked: Provider) {
  const begun = attempt()
  const back = await dialects.sayYes(await asked.authorizationUrl(begun))
  return {
    ...begun,
    code: back.searchParams.get('code') ?? '',
    issuer: back.searchParams.get('iss') ?? undefined,
  }
}

/** A whole login. */
export async function login(dialects: Pick<Dialects, 'sayYes'>, asked: Provider) {
  return asked.exchange(await code(dialects, asked))
}

/** The error that it ends with: one of the gateway's own, which holds none of these secrets. */
export async function failure(
  t: ExecutionContext,
  call: Promise<unknown>,
  secrets: Iterable<string>,
): Promise<GatewayError> {
  const error = await call.then(
    () => t.fail('it succeeded'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof GatewayError)) throw error
  const shown = [error.message, error.detail, error.stack, JSON.stringify(error), String(error.cause)].join(
    ' ',
  )
  t.is(error.cause, undefined)
  for (const secret of secrets) if (shown.includes(secret)) t.fail('a secret is in the error')
  return error
}
