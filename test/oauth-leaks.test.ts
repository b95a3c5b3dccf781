import { randomUUID } from 'node:crypto'
import { ownPostgres } from './support/database.ts'
import { dialectNames, type Misbehaviour } from './support/dialects.ts'
import { dumpDatabase, secretsIn } from './support/dump.ts'
import { journey } from './support/journeys.ts'
import type { Answer } from './support/oauth-gateway.ts'
import {
  connected,
  crashes,
  databaseAway,
  refusedLogins,
  type Scene,
  unreadableRows,
  wrongSettings,
} from './support/oauth-mishaps.ts'
import { type OAuthReplica, oauthNeighbourhood } from './support/oauth-neighbourhood.ts'

/** How long a provider that hangs is waited for, in milliseconds: PROVIDER_TIMEOUT. */
const timeoutMs = Number(process.env.PROVIDER_TIMEOUT ?? 1000)

const misbehaviours: readonly Misbehaviour[] = [
  ...(['html', 'truncated', 'huge', 'redirect', 'content-type', 'error-200', 'no-token'] as const),
  ...(['wrong-types', 'list', 'reset', 'stall', 'hang'] as const),
  { status: 500 },
  { status: 429 },
  { status: 400 },
  { status: 400, body: { error: 'invalid_grant', error_description: 'not any more' } },
  { status: 401, body: 'no' },
]
const named = (how: Misbehaviour) => (typeof how === 'string' ? how : JSON.stringify(how))

journey('whatever goes wrong, no line and no error reply shows a secret', async (t) => {
  const server = await ownPostgres(t)
  const databaseUrl = await server.createDatabase()
  const env = {
    OAUTH_PROVIDER_TIMEOUT: `${timeoutMs}ms`,
    DATABASE_STATEMENT_TIMEOUT: '4s',
    DATABASE_CONNECT_TIMEOUT: '4s',
  }
  const there = await oauthNeighbourhood(t, { databaseUrl, env })
  const scene: Scene = { t, there, server, processes: [] }
  const began = performance.now()
  const log = (what: string) => t.log(`${((performance.now() - began) / 1000).toFixed(1)} s: ${what}`)
  const start = async (given: Readonly<Record<string, string>> = {}) => {
    const gateway = await there.start(given)
    scene.processes.push(gateway.process)
    return gateway
  }
  const [a, b] = (await Promise.all([start(), start()])) as [OAuthReplica, OAuthReplica]

  await keysMisbehave(scene, b)
  for (const how of misbehaviours) await providersMisbehave(scene, a, how)
  log('the providers have misbehaved')
  await refusedLogins(scene, a)
  await unreadableRows(scene, a)
  log('logins were refused, rows unreadable')
  await databaseAway(scene, a)
  log('the database was away')
  await crashes(scene, a, b)
  await wrongSettings(scene)
  log('processes have crashed, and have not started')

  const everything = await there.secrets()
  const planted = { name: 'planted', text: randomUUID() }
  const last = await start()
  await last.send('GET', `/api/house/open/${planted.text}`)
  await last.process.printed(new RegExp(planted.text))
  const printed = scene.processes.map((process) => process.output()).join('\n')
  t.deepEqual(secretsIn(printed, [...everything, planted]), ['planted'])
  for (const word of ['a token could not be refreshed', 'cannot be read', 'GET /oauth/google/callback']) {
    t.true(printed.includes(word), word)
  }
  const errors = there.replies.filter(({ status }) => status >= 400 || status === 202)
  const shown = errors.map(({ text, headers }) => JSON.stringify([text, ...headers])).join('\n')
  // The front end's own state is its to have again.
  const others = everything.filter(({ name }) => name !== 'state of a front end')
  t.deepEqual(secretsIn(`${shown} ${planted.text}`, [...others, planted]), ['planted'])
  const dump = await dumpDatabase(databaseUrl)
  t.true(dump.includes('munjigi.login_attempts'))
  t.deepEqual(secretsIn(`${dump} ${planted.text}`, [...others, planted]), ['planted'])
  log(
    `${everything.length} secrets looked for in ${printed.length} characters of ${scene.processes.length} processes ` +
      `and ${errors.length} error replies, and in ${dump.length} of the database`,
  )
  const codes = errors.map(({ status, json }) => `${status} ${json?.code ?? json?.revocation ?? 'page'}`)
  const distinct = [...new Set(codes)].sort()
  t.log(distinct.map((code) => `${codes.filter((one) => one === code).length} × ${code}`).join(', '))
  t.deepEqual(
    distinct.filter((code) => code.includes('internal_error')),
    [],
  )
})

/** While they are not known yet. */
async function keysMisbehave({ t, there }: Scene, gateway: OAuthReplica): Promise<void> {
  const { dialects, bring } = there
  const providers = ['google', 'microsoft']
  // Keys are keys, whatever else is beside them.
  for (const how of misbehaviours.filter((one) => one !== 'error-200')) {
    for (const one of providers) dialects.misbehave(`${one}.jwks`, how)
    const replies = await Promise.all(providers.map((one) => bring(gateway, one, randomUUID())))
    for (const { status } of replies) t.true(status >= 500, `keys: ${named(how)}: ${status}`)
  }
  for (const one of providers) dialects.misbehave(`${one}.jwks`, undefined)
}

/** At the exchange, the refresh, the profile, what else is asked then, and the revocation. */
async function providersMisbehave({ t, there }: Scene, gateway: OAuthReplica, how: Misbehaviour) {
  const { dialects, bring, expire, keep, sql } = there
  const failed = (where: string, { status, text }: Answer) => {
    // A reply that can be used, for all that it is odd, is none of these.
    t.true(status >= 400 && status !== 500, `${where}: ${named(how)}: ${status} ${text}`)
  }
  await Promise.all(
    dialectNames.map(async (provider) => {
      const subject = `user-${randomUUID()}`
      const [kept, other] = await Promise.all([
        connected(there, gateway, provider, subject),
        connected(there, gateway, provider, `${subject}-2`),
      ])
      const path = `/oauth/${kept}`
      const { access_token: token } = await gateway.create(subject)
      keep('access token of the gateway', token)

      const callback = async () => {
        const state = keep('state of a front end', randomUUID())
        const away = await there.begin(gateway, provider, { state })
        const back = await there.sayYes(away.location)
        keep('code', back.searchParams.get('code')!)
        return there.comeBack(gateway, provider, back.search, away.cookie)
      }
      await expire([kept])
      for (const endpoint of ['token', 'revoke']) dialects.misbehave(`${provider}.${endpoint}`, how)
      const [brought, cameBack, refreshed] = await Promise.all([
        bring(gateway, provider, subject),
        callback(),
        gateway.send('POST', `${path}/refresh`, { token }),
        gateway.sendAsClient('DELETE', `/oauth/${other}?subject=${subject}-2`),
      ])
      failed(`${provider} exchange`, brought)
      failed(`${provider} callback`, cameBack)
      failed(`${provider} refresh`, refreshed)
      const inject = await gateway.send('GET', `/api/with/${provider}`, { token })
      failed(`${provider} inject`, inject)
      await gateway.send('GET', path, { token })
      await gateway.send('GET', '/oauth', { token })
      dialects.misbehave(`${provider}.token`, undefined)

      for (const endpoint of ['profile', provider === 'github' ? 'emails' : 'debug']) {
        if (endpoint === 'debug' && provider !== 'facebook') continue
        dialects.misbehave(`${provider}.${endpoint}`, how)
        await Promise.all([bring(gateway, provider, `${subject}-3`), callback()])
        dialects.misbehave(`${provider}.${endpoint}`, undefined)
      }
      dialects.misbehave(`${provider}.revoke`, undefined)
    }),
  )
  await sql(`update munjigi.connections set state = 'active'`)
}
