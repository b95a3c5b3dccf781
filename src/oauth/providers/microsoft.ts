import { openIdProfile } from '../client/openid-profile.ts'
import { standardProvider } from '../client/standard-provider.ts'

export const microsoft = standardProvider({
  name: 'microsoft',
  title: 'Microsoft',
  scope: 'openid profile email offline_access',
  // Each tenant is an issuer of its own: the one that the ID token's `tid` names.
  issuers: ['https://login.microsoftonline.com/{tenantid}/v2.0'],
  endpoints: {
    authorization: 'https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/authorize',
    token: 'https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token',
    profile: 'https://graph.microsoft.com/oidc/userinfo',
    jwks: 'https://login.microsoftonline.com/{TENANT}/discovery/v2.0/keys',
  },
  settings: {
    TENANT: {
      description: 'whose users may log in: common, organizations, consumers, or the id of one tenant',
      default: 'common',
      pattern: /^(?:common|organizations|consumers|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/,
      expected: 'common, organizations, consumers, or the id (a GUID) of one tenant',
    },
  },
  dialect: ({ TENANT: tenant = 'common' }) => ({
    pkce: true,
    async profile(asking, tokens, claims) {
      if (/^[0-9a-f]{8}-/.test(tenant) && claims?.tid !== tenant) {
        throw asking.errors.badResponse("has sent another tenant's user")
      }
      // Whoever owns a tenant writes its users' addresses: nobody has verified them.
      return { ...(await openIdProfile(asking, tokens, claims)), emailVerified: false }
    },
    // Refresh tokens die after 90 days without use.
    keepAliveDays: 30,
  }),
})
