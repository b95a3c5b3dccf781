import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair } from 'jose'
import type { Context, Middleware } from 'koa'
import { type Configuration, interactionPolicy, type JWK, Provider } from 'oidc-provider'
import { readForm } from './demo-provider-form.ts'
import { createDemoPages, type DemoPages, longestName } from './demo-provider-pages.ts'
import { createDemoStore } from './demo-provider-store.ts'
import { demoClient } from './demo-settings.ts'

export interface DemoProviderOptions {
  /** 0 for any free one; also taken where this one is in use. */
  readonly port: number
  readonly host: string
  /** Where browsers may be sent back to with a code. */
  readonly redirectUris: readonly string[]
  /** Where a login to the gateway begins, for the page at `/`. */
  readonly loginUrl?: string
  /** Seconds that an access token is good for. */
  readonly accessTokenLifetime?: number
}

export interface DemoProvider {
  /** `http://localhost:8090` */
  readonly issuer: string
  readonly client: { readonly id: string; readonly secret: string }
  /** The provider itself, for its events. */
  readonly provider: Provider
  stop(): Promise<void>
}

const day = 86_400

/**
 * A real OpenID Connect provider on a real socket, where any name logs in. It asks for PKCE, rotates refresh tokens,
 * revokes and introspects, and prints nothing. What it keeps is in memory.
 */
export async function startDemoProvider(options: DemoProviderOptions): Promise<DemoProvider> {
  const { host } = options
  const [key, server] = await Promise.all([createSigningKey(), listen(options.port, host)])
  const { port } = server.address() as AddressInfo
  const name = host.includes(':') ? `[${host}]` : host
  const issuer = `http://${name}:${port}`
  const pages = createDemoPages()
  const provider = new Provider(issuer, configure(options, key, pages))
  // Koa prints what goes wrong otherwise.
  provider.silent = true
  provider.use(onlyAs(new URL(issuer).host))
  provider.use(createInteractions(provider, pages, options.loginUrl))
  server.on('request', provider.callback())
  return {
    issuer,
    client: demoClient,
    provider,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** RS256 is what every client of OpenID Connect understands (Core §15.1). */
async function createSigningKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  return { ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig' } as JWK
}

async function listen(port: number, host: string): Promise<Server> {
  const server = createServer().listen(port, host)
  try {
    await once(server, 'listening')
    return server
  } catch (error) {
    if (port === 0 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return listen(0, host)
  }
}

function configure(options: DemoProviderOptions, key: JWK, pages: DemoPages): Configuration {
  const policy = interactionPolicy.base()
  // Asked each time, so that one can be somebody else the next time.
  policy
    .get('login')
    ?.checks.add(
      new interactionPolicy.Check(
        'every_time',
        'the demo provider asks each time',
        ({ oidc }) => oidc.result?.login === undefined,
      ),
    )
  const allow = async () => true
  return {
    adapter: createDemoStore(),
    clients: [
      {
        client_id: demoClient.id,
        client_secret: demoClient.secret,
        client_name: 'munjigi',
        redirect_uris: [...options.redirectUris],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'client_secret_basic',
      },
    ],
    jwks: { keys: [key] },
    cookies: {
      keys: [randomBytes(32).toString('base64url')],
      // Cookies know no ports: other programs on this machine may use the same library.
      names: {
        session: 'munjigi-demo-session',
        interaction: 'munjigi-demo-interaction',
        resume: 'munjigi-demo-resume',
      },
    },
    scopes: ['openid', 'offline_access', 'profile', 'email'],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: false,
    clientAuthMethods: ['client_secret_basic'],
    responseTypes: ['code'],
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      revocation: {
        enabled: true,
        allowedPolicy: async (_ctx, asking, token) => token.clientId === asking.clientId,
      },
      introspection: { enabled: true, allowedPolicy: allow },
    },
    // Whether or not offline_access was asked for together with prompt=consent, as Core §11 would have it.
    issueRefreshToken: allow,
    rotateRefreshToken: true,
    expiresWithSession: async () => false,
    clientBasedCORS: () => false,
    ttl: {
      AccessToken: options.accessTokenLifetime ?? 600,
      AuthorizationCode: 60,
      IdToken: 600,
      Interaction: 3600,
      Grant: 14 * day,
      RefreshToken: 14 * day,
      Session: day,
    },
    interactions: { policy, url: (_ctx, { uid }) => `/interaction/${uid}` },
    findAccount: (_ctx, id) => ({ accountId: id, claims: async () => claimsOf(id) }),
    renderError: (ctx, out) => pages.error(ctx, out.error_description ?? out.error),
  }
}

/** Everything about an account is in its id, and so outlives a restart. */
function claimsOf(id: string) {
  const name = decodeURIComponent(id)
  const address = encodeURIComponent(name.toLowerCase().replaceAll(' ', '.'))
  return { sub: id, name, email: `${address}@example.com`, email_verified: true }
}

/** As whom somebody logs in who typed this: at most 255 characters of ASCII (OpenID Connect Core §2). */
function accountId(typed: string | undefined): string | undefined {
  const name = typed?.trim() ?? ''
  return name === '' || name.length > longestName || !name.isWellFormed()
    ? undefined
    : encodeURIComponent(name)
}

/** A page that resolves its own name to this machine is not to be answered. */
function onlyAs(host: string): Middleware {
  return (ctx, next) => {
    if (ctx.host === host) return next()
    ctx.status = 421
    ctx.body = `This is ${host}.\n`
    return undefined
  }
}

/** The login page and what is posted from it; whoever logs in allows what was asked for. */
function createInteractions(provider: Provider, pages: DemoPages, loginUrl: string | undefined): Middleware {
  async function interact(ctx: Context): Promise<void> {
    const details = await provider.interactionDetails(ctx.req, ctx.res)
    const scopes = String(details.params.scope ?? '').split(' ')
    const shown = { action: ctx.path, client: 'munjigi', scopes }
    if (ctx.method === 'GET') {
      const before = details.session?.accountId
      pages.login(ctx, { ...shown, name: before === undefined ? 'demo' : decodeURIComponent(before) })
      return
    }
    const form = await readForm(ctx.req)
    const id = accountId(form.get('name') ?? undefined)
    if (form.get('decision') === 'no') {
      details.result = { error: 'access_denied', error_description: 'The login was cancelled.' }
    } else if (id === undefined) {
      ctx.status = 422
      pages.login(ctx, {
        ...shown,
        name: form.get('name') ?? '',
        fault: `Please type a name of 1 to ${longestName} characters.`,
      })
      return
    } else {
      const { session } = details
      if (session !== undefined && session.accountId !== id) {
        // Otherwise it would ask whether to log out first.
        await (await provider.Session.findByUid(session.uid))?.destroy()
        delete details.session
      }
      const grant = new provider.Grant({ accountId: id, clientId: String(details.params.client_id) })
      grant.addOIDCScope(scopes.join(' '))
      details.result = { login: { accountId: id }, consent: { grantId: await grant.save() } }
    }
    await details.save(details.exp - Math.floor(Date.now() / 1000))
    ctx.status = 303
    ctx.redirect(details.returnTo)
  }

  return async (ctx, next) => {
    if (ctx.path === '/' && ctx.method === 'GET') return pages.about(ctx, loginUrl)
    if (!/^\/interaction\/[\w-]+$/.test(ctx.path) || !['GET', 'POST'].includes(ctx.method)) return next()
    try {
      await interact(ctx)
    } catch {
      ctx.status = 400
      pages.error(ctx, 'This login has expired, or was begun in another browser.')
    }
    return undefined
  }
}
