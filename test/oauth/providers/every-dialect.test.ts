import test from 'ava'
import { dialectNames, startDialects } from '../../support/dialects.ts'
import { code, failure, login, provider } from '../../support/provider.ts'

for (const name of dialectNames) {
  test(`${name}: a login gives tokens and a profile`, async (t) => {
    const dialects = await startDialects(t)
    const { tokens, profile } = await login(dialects, provider(dialects.env(), name))
    t.true(dialects.issued.has(tokens.accessToken))
    t.is(tokens.tokenType, 'Bearer')
    t.true((tokens.expiresAt ?? 0) > Date.now() / 1000 + 3000)
    const { id } = dialects.house.users[name]!
    t.is(profile.id, name === 'naver' ? `naver-${id}` : id)
    t.is(profile.name, '문지기')
    t.is(profile.email, `${name}@example.com`)
    t.is(profile.emailVerified, ['google', 'github', 'kakao'].includes(name))
  })

  test(`${name}: a code is good once`, async (t) => {
    const dialects = await startDialects(t)
    const asked = provider(dialects.env(), name)
    const request = await code(dialects, asked)
    await asked.exchange(request)
    const error = await failure(t, asked.exchange(request), [...dialects.issued, ...dialects.secrets])
    // GitHub and Naver say no with 200, which is no word of a standard's on the code.
    t.is(error.code, ['github', 'naver'].includes(name) ? 'provider_refused' : 'invalid_grant')
  })

  test(`${name}: tokens are renewed`, async (t) => {
    const dialects = await startDialects(t)
    const asked = provider(dialects.env(), name)
    const { tokens } = await login(dialects, asked)
    t.true(asked.canRefresh(tokens))
    const calls = dialects.calls[`${name}.token`]!
    const renewed = await asked.refresh(tokens)
    t.not(renewed.accessToken, tokens.accessToken)
    t.true(dialects.issued.has(renewed.accessToken))
    t.is(dialects.calls[`${name}.token`], calls + 1)
    t.is(renewed.refreshToken !== undefined, ['github', 'microsoft'].includes(name))
    t.true((renewed.expiresAt ?? 0) > Date.now() / 1000 + 3000)
  })

  test(`${name}: a grant that the user has ended is invalid_grant`, async (t) => {
    const dialects = await startDialects(t)
    const asked = provider(dialects.env(), name)
    const { tokens } = await login(dialects, asked)
    dialects.endGrants(name)
    const error = await failure(t, asked.refresh(tokens), [...dialects.issued, ...dialects.secrets])
    t.is(error.code, 'invalid_grant')
  })

  test(`${name}: a wrong client secret is refused, and is no word on the grant`, async (t) => {
    const dialects = await startDialects(t)
    const { tokens } = await login(dialects, provider(dialects.env(), name))
    const env = { ...dialects.env(), [`${name.toUpperCase()}_CLIENT_SECRET`]: 'another-secret-of-somebody' }
    const asked = provider(env, name)
    const error = await failure(t, asked.refresh(tokens), [...dialects.issued, 'another-secret-of-somebody'])
    t.is(error.code, 'provider_refused')
  })

  if (name !== 'microsoft') {
    test(`${name}: a grant is ended, and one that is ended already is done`, async (t) => {
      const dialects = await startDialects(t)
      const asked = provider(dialects.env(), name)
      const { tokens, profile } = await login(dialects, asked)
      t.is(await asked.revoke(tokens, profile), 'done')
      t.is(dialects.calls[`${name}.revoke`], 1)
      await failure(t, asked.refresh(tokens), dialects.issued)
      t.is(await asked.revoke(tokens, profile), 'done')
    })

    test(`${name}: a revocation that finds the provider away is an error`, async (t) => {
      const dialects = await startDialects(t)
      const asked = provider(dialects.env(), name)
      const { tokens, profile } = await login(dialects, asked)
      dialects.misbehave(`${name}.revoke`, { status: 503 })
      const error = await failure(t, asked.revoke(tokens, profile), [...dialects.issued, ...dialects.secrets])
      t.is(error.code, 'provider_unreachable')
    })
  }
}
