import { ownPostgres } from './support/database.ts'
import { journey } from './support/journeys.ts'
import { type OAuthReplica, oauthNeighbourhood } from './support/oauth-neighbourhood.ts'
import { until } from './support/until.ts'

// A provider that takes an old refresh token for theft (demo is a real oidc-provider), and one that does not.
for (const provider of ['demo', 'microsoft']) {
  journey(
    `${provider}: PostgreSQL frozen in mid-call loses no rotated token, whoever has the row then`,
    async (t) => {
      const server = await ownPostgres(t)
      const there = await oauthNeighbourhood(t, {
        databaseUrl: await server.createDatabase(),
        demo: true,
        env: {
          DATABASE_STATEMENT_TIMEOUT: '2s',
          DATABASE_CONNECT_TIMEOUT: '1s',
          OAUTH_PROVIDER_TIMEOUT: '30s',
        },
      })
      const [a, b] = (await Promise.all([there.start(), there.start()])) as [OAuthReplica, OAuthReplica]
      const user = await there.logIn([a, b], provider)
      const show = (one: OAuthReplica) => one.send('GET', `/oauth/${user.id}`, { token: user.token })
      const refresh = (one: OAuthReplica) =>
        one.send('POST', `/oauth/${user.id}/refresh`, { token: user.token })
      for (const one of [a, b]) await show(one)
      await there.expire([user.id])
      const door = provider === 'demo' ? there.demoDoor! : there.door
      door.hold('answer')
      const asking = refresh(a)
      await door.held(1)
      server.freeze()
      door.hold(undefined)
      door.release()
      t.is((await asking).status, 503)
      server.thaw()
      const thawed = performance.now()
      const states: string[] = []
      // The row is anybody's now, and the token still in the memory of the one that asked.
      await until(async () => {
        const { json } = await show(b)
        states.push(String(json.state ?? json.code))
        return json.access_token !== undefined
      }, 'the other one serves the new token')
      t.log(`served by the other one ${Math.round(performance.now() - thawed)} ms after SIGCONT`)
      t.false(states.includes('needs_reauth'))
      for (const one of [b, a]) t.is((await refresh(one)).status, 200, 'the grant goes on')
    },
  )
}
