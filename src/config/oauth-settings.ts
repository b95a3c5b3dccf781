import { z } from 'zod'
import { duration, timeout } from '../discovery/description.ts'
import type { Setting } from './settings.ts'
import { headerName } from './token-settings.ts'

const urlMessage =
  'expected absolute http or https URLs without user, query or fragment, separated by commas, such as ' +
  'https://app.jinmini.com/welcome'

/** Compared as text, character by character; so they are written as browsers write them. */
const exactUrls = z
  .string()
  .transform((text) => text.split(',').map((item) => toExactUrl(item.trim())))
  .pipe(z.array(z.string(urlMessage)))

const namesMessage = 'expected names of providers such as google, separated by commas'
const providerNames = z
  .string()
  .transform((text) => text.split(',').map((item) => item.trim()))
  .pipe(z.array(z.string().regex(/^[a-z][a-z0-9-]*$/, namesMessage)))

const scopeMessage = 'expected scopes such as "profile email", separated by spaces'

/** Logging in with accounts elsewhere, and keeping their tokens. */
export const oauthSettings = {
  OAUTH_REDIRECT_URIS: {
    group: 'OAuth',
    meaning:
      'redirect URIs of front ends that bring codes to POST /oauth themselves, separated by commas; compared exactly',
    schema: exactUrls,
    unset: "none but the gateway's own callbacks",
  },
  LOGIN_RETURN_URLS: {
    group: 'OAuth',
    meaning: 'addresses of front ends that a login may return to, separated by commas; compared exactly',
    schema: exactUrls,
    unset: "none but the gateway's own login page",
  },
  LOGIN_SCOPE: {
    group: 'OAuth',
    meaning: 'the scope of tokens that a login ends with',
    schema: z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/, scopeMessage),
    default: 'profile',
  },
  LINK_VERIFIED_EMAIL: {
    group: 'OAuth',
    meaning:
      'providers whose word on an e-mail address is enough to log in as the user who has it with another of them; ' +
      'whoever has one of their accounts with that address is that user',
    schema: providerNames,
    unset: 'none: each account elsewhere is a user of its own',
  },
  OAUTH_PROVIDER_TIMEOUT: {
    group: 'OAuth',
    meaning: 'for each question asked of a provider',
    schema: timeout.refine((ms) => ms <= 60_000, 'expected at most 60s'),
    default: '10s',
  },
  OAUTH_REFRESH_AHEAD: {
    group: 'OAuth',
    meaning: "how long before its end a provider's token is refreshed when somebody asks for it",
    schema: duration,
    default: '60s',
  },
  PROVIDER_TOKEN_HEADER: {
    group: 'OAuth',
    meaning: "header that hands a house the caller's token of the provider that its route injects",
    schema: headerName,
    default: 'X-Provider-Token',
  },
} as const satisfies Record<string, Setting>

/** `undefined` where it is none, or not written as a browser would write it. */
function toExactUrl(text: string): string | undefined {
  if (!/^https?:\/\//.test(text) || /[?#@\s\\]/.test(text) || !URL.canParse(text)) return undefined
  const { href } = new URL(text)
  return href === text || href === `${text}/` ? text : undefined
}
