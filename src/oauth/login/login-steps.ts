import { GatewayError } from '../../errors.ts'
import type { Provider } from '../provider.ts'
import type { OAuthContext, OAuthStep } from '../state.ts'
import { createErrorPage, withLoginUrl } from './error-page.ts'
import { createIsPublicHost } from './public-host.ts'

/** A step that a browser takes: its provider is known, and it asked for the public address. */
export type LoginStep = (ctx: OAuthContext, provider: Provider) => Promise<void>

export interface LoginSteps {
  /** Stands before all the others of an endpoint, so that its page shows their errors too. */
  readonly showErrors: OAuthStep
  /** One that knows its provider. */
  readonly of: (step: LoginStep) => OAuthStep
  /** One whose provider is still to be chosen. */
  readonly ofAny: (step: OAuthStep) => OAuthStep
}

export interface LoginStepsOptions {
  readonly providers: ReadonlyMap<string, Provider>
  readonly publicUrl: string
  readonly routePrefix: string
  /** Where a login by the provider begins. */
  readonly loginUrl: (provider: string) => string
}

/**
 * What login and callback have in common: whoever reads HTML sees errors as a page with a link that begins anew;
 * everybody else gets the problem document of the error boundary, with the same link.
 */
export function createLoginSteps(options: LoginStepsOptions): LoginSteps {
  const { providers, publicUrl, routePrefix, loginUrl } = options
  const showError = createErrorPage()
  const isPublicHost = createIsPublicHost(publicUrl)

  /** @throws GatewayError `not_found`, `method_not_allowed`, `invalid_request`, and the step's */
  async function take(ctx: OAuthContext, step: LoginStep): Promise<void> {
    const { provider: name = '' } = ctx.params
    const provider = providers.get(name)
    if (provider === undefined) throw unknownProvider(name, `${publicUrl}${routePrefix}/login`)
    try {
      checkRequest(ctx)
      await step(ctx, provider)
    } catch (error) {
      throw error instanceof GatewayError ? withLoginUrl(error, loginUrl(name)) : error
    }
  }

  function checkRequest(ctx: OAuthContext): void {
    // The router takes HEAD for GET; but what is looked at only must not use up anything.
    if (ctx.method !== 'GET') throw new GatewayError('method_not_allowed', { headers: { Allow: 'GET' } })
    if (isPublicHost(ctx)) return
    throw new GatewayError('invalid_request', {
      detail: `Logins begin and end at ${publicUrl}, but this request asked for another host. Begin there instead.`,
    })
  }

  return {
    ofAny: (step) =>
      function login(ctx, next) {
        checkRequest(ctx as unknown as OAuthContext)
        return step(ctx, next)
      },
    of: (step) =>
      function login(koaCtx) {
        return take(koaCtx as unknown as OAuthContext, step)
      },
    async showErrors(koaCtx, next) {
      const ctx = koaCtx as unknown as OAuthContext
      ctx.set('Cache-Control', 'no-store')
      try {
        await next()
      } catch (error) {
        ctx.vary('Accept')
        // What has no preference is a program.
        if (!(error instanceof GatewayError) || ctx.accepts('json', 'html') !== 'html') throw error
        showError(ctx, error)
      }
    },
  }
}

function unknownProvider(name: string, loginPageUrl: string): GatewayError {
  const shown = /^[a-z][a-z0-9-]{0,63}$/.test(name) ? `The provider ${name}` : 'The provider'
  return new GatewayError('not_found', {
    detail: `${shown} is not configured at this gateway.`,
    members: { login_url: loginPageUrl },
  })
}
