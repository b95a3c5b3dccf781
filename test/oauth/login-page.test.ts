import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { createLoginPage, type LoginPageOptions } from '../../src/oauth/login/login-page.ts'
import type { OAuthState } from '../../src/oauth/state.ts'
import { httpUpstream } from '../support/upstream.ts'

const publicUrl = 'https://www.jinmini.com'

/** The page as it is served, alone. */
async function loginPage(t: ExecutionContext, given: Partial<LoginPageOptions> = {}) {
  const app = new Koa<OAuthState>()
  app.use(createLoginPage({ publicUrl, routePrefix: '', providers: [], development: true, ...given }))
  const { origin } = await httpUpstream(t, app.callback())
  const get = async () => {
    const reply = await fetch(`${origin}/login`)
    return { headers: reply.headers, text: await reply.text() }
  }
  return { get, ...(await get()) }
}

function policyOf(headers: Headers): Map<string, string> {
  const directives = (headers.get('content-security-policy') ?? '').split('; ')
  return new Map(
    directives.map((one) => [one.slice(0, one.indexOf(' ')), one.slice(one.indexOf(' ') + 1)] as const),
  )
}

const kakao = { name: 'kakao', title: 'Kakao' }
const google = { name: 'google', title: 'Google' }

test('there is a link for each provider that is configured, in their order', async (t) => {
  const { text } = await loginPage(t, { providers: [kakao, google] })
  const links = [...text.matchAll(/class="provider"[^>]*href="([^"]*)"[\s\S]*?<span>([^<]*)<\/span>/g)]
  t.deepEqual(
    links.map(([, href, label]) => [href, label]),
    [
      ['/oauth/kakao/login', 'Continue with Kakao'],
      ['/oauth/google/login', 'Continue with Google'],
    ],
  )
})

test('without one the page says what to set', async (t) => {
  const { text } = await loginPage(t)
  t.true(text.includes('No provider is configured'))
  t.true(text.includes('<code>KAKAO_CLIENT_ID</code>'))
  t.true(text.includes('href="/oauth/providers"'))
  t.false((await loginPage(t, { providers: [kakao] })).text.includes('No provider is configured'))
})

test('under a route prefix every link leads there', async (t) => {
  const { text, headers } = await loginPage(t, { routePrefix: '/e', providers: [kakao] })
  const links = [...text.matchAll(/href="(\/[^"]*)"/g)].map(([, href]) => href)
  t.deepEqual(new Set(links), new Set(['/e/', '/e/oauth/kakao/login', '/e/docs', '/e/login']))
  t.true(text.includes(`href="${publicUrl}/e/login"`))
  t.is(
    policyOf(headers).get('connect-src'),
    `${publicUrl}/e/oauth/login/complete ${publicUrl}/e/tokens/dummy`,
  )
})

test('the page may run and load what is in it, and ask the endpoints of a login, and nothing else', async (t) => {
  const { headers, text } = await loginPage(t, { providers: [kakao] })
  const [, nonce] = /<script type="module" nonce="([\w-]{24})">/.exec(text) ?? []
  t.deepEqual(
    policyOf(headers),
    new Map([
      ['default-src', "'none'"],
      ['script-src', `'nonce-${nonce}'`],
      ['style-src', `'nonce-${nonce}'`],
      ['img-src', 'data:'],
      ['connect-src', `${publicUrl}/oauth/login/complete ${publicUrl}/tokens/dummy`],
      ['base-uri', "'none'"],
      ['form-action', "'none'"],
      ['frame-ancestors', "'none'"],
    ]),
  )
  t.is(headers.get('referrer-policy'), 'no-referrer')
  t.is(headers.get('cache-control'), 'no-store')
  t.notRegex(text, /\son\w+=|\sstyle="|\ssrc=/)
})

test('the nonce is good for one reply', async (t) => {
  const { get, text } = await loginPage(t)
  const nonceOf = (page: string) => /nonce="([^"]+)"/.exec(page)?.[1]
  t.not(nonceOf((await get()).text), nonceOf(text))
})

test('a route prefix that means something to the policy does not change it', async (t) => {
  const { headers } = await loginPage(t, { routePrefix: "/a,b'c", development: false })
  t.is(policyOf(headers).get('connect-src'), `${publicUrl}/a%2cb%27c/oauth/login/complete`)
  t.is(policyOf(headers).size, 8)
})

test("a provider's title is text, never markup", async (t) => {
  const title = `<img src=x onerror="alert('1')">`
  const { text } = await loginPage(t, { providers: [{ name: 'corp', title }] })
  t.false(text.includes('<img'))
  t.true(text.includes('Continue with &lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;'))
})

test('only in development is there a dummy login, and a word of the console', async (t) => {
  const development = (await loginPage(t)).text
  t.true(development.includes('id="dummy"'))
  t.true(development.includes('<kbd>F12</kbd>'))
  const { text, headers } = await loginPage(t, { development: false })
  t.false(text.includes('id="dummy"'))
  t.false(text.includes('<kbd>F12</kbd>'))
  t.is(policyOf(headers).get('connect-src'), `${publicUrl}/oauth/login/complete`)
})
