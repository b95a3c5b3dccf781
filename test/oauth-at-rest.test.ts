import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname } from 'node:path'
import type { ExecutionContext } from 'ava'
import { sharedPostgres } from './support/database.ts'
import { dumpDatabase, secretsIn } from './support/dump.ts'
import { journey } from './support/journeys.ts'
import {
  type LoggedIn,
  type OAuthReplica,
  oauthNeighbourhood,
  providerNames,
} from './support/oauth-neighbourhood.ts'
import { execute } from './support/postgres.ts'
import { newKey } from './support/vault.ts'

const freshDatabase = sharedPostgres()

/** A gateway where somebody has logged in with each provider. */
async function lived(t: ExecutionContext) {
  const { url: databaseUrl } = await freshDatabase(t)
  const there = await oauthNeighbourhood(t, { databaseUrl, demo: true })
  const gateway = await there.start()
  const users: (LoggedIn & { readonly provider: string })[] = []
  for (const provider of providerNames) users.push({ provider, ...(await there.logIn([gateway], provider)) })
  /** The token of each, as a gateway serves it. */
  const served = async (one: OAuthReplica) => {
    const replies = await Promise.all(
      users.map(({ id, subject }) => one.sendAsClient('GET', `/oauth/${id}?subject=${subject}`)),
    )
    return replies.map(({ status, json }) => ({ status, code: json.code, token: json.access_token }))
  }
  return { there, databaseUrl, gateway, users, served }
}

journey('no column of any table shows a token, a code, a verifier or a secret', async (t) => {
  const { there, databaseUrl, gateway } = await lived(t)
  const { begin, sayYes, comeBack, keep, bring, dialects, secrets } = there
  // Of everything that is ever stored there is one: an attempt, a login code, a grant that is still to be ended.
  await begin(gateway, 'kakao')
  const away = await begin(gateway, 'google')
  const back = await sayYes(away.location)
  const returned = await comeBack(gateway, 'google', back.search, away.cookie)
  keep('login code', new URL(returned.headers.get('location')!).searchParams.get('code')!)
  dialects.misbehave('google.revoke', { status: 503 })
  const { json } = await bring(gateway, 'google', 'user-1')
  const removed = await gateway.sendAsClient('DELETE', `/oauth/${json.id}?subject=user-1`)
  t.is(removed.status, 202)
  t.is(removed.json.revocation, 'queued')
  for (const table of ['login_attempts', 'login_codes', 'provider_revocations', 'identities', 'sessions']) {
    t.true((await there.sql(`select 1 from munjigi.${table}`)).length > 0, table)
  }

  const everything = await secrets()
  // Also what nobody but the vault has seen: of the others the dialects know themselves.
  t.is(everything.filter(({ name }) => name.startsWith('connections.refresh_token')).length, 1)
  const dump = await dumpDatabase(databaseUrl)
  t.deepEqual(secretsIn(dump, everything), [])
  const [{ name, text } = { name: '', text: '' }] = everything.filter((one) => one.name === 'login code')
  await execute(databaseUrl, `create table munjigi.planted as select 'x' || '${text}' || 'y' as text`)
  t.deepEqual(secretsIn(await dumpDatabase(databaseUrl), everything), [name])
  t.log(`${everything.length} secrets looked for in ${dump.length} characters; one that was planted is found`)
})

journey('ciphertexts that changed places are an error, and no token is served', async (t) => {
  const { there, gateway, users, served } = await lived(t)
  const before = await served(gateway)
  const [google, github] = ['google', 'github'].map((name) => users.find((one) => one.provider === name)!)
  const columns = ['sealed_access_token', 'sealed_refresh_token']
  const swap = (column: string) =>
    there.sql(`update munjigi.connections set ${column} = other.${column} from munjigi.connections other
      where connections.id in ('${google!.id}', '${github!.id}')
        and other.id in ('${google!.id}', '${github!.id}') and other.id <> connections.id`)
  for (const column of columns) {
    await swap(column)
    for (const { id, token, provider } of [google!, github!]) {
      const refreshed = await gateway.send('POST', `/oauth/${id}/refresh`, { token })
      t.is(refreshed.status, 500, column)
      t.is(refreshed.json.code, 'vault_unreadable')
      if (column === 'sealed_refresh_token') continue
      for (const path of [`/oauth/${id}`, `/api/with/${provider}`]) {
        const shown = await gateway.send('GET', path, { token })
        t.is(shown.status, 500, path)
        t.is(shown.json.code, 'vault_unreadable')
      }
      const listed = await gateway.send('GET', '/oauth', { token })
      t.like(listed.json.connections[0], { id, error: 'vault_unreadable', access_token: undefined })
    }
    await swap(column)
  }
  t.deepEqual(await served(gateway), before)
  // Nor may the one column of a row stand in for the other.
  await there.sql(`update munjigi.connections set sealed_access_token = sealed_refresh_token
    where id = '${google!.id}'`)
  t.is((await gateway.send('GET', `/oauth/${google!.id}`, { token: google!.token })).status, 500)
  t.regex(gateway.process.output(), new RegExp(`connections\\.access_token:${google!.id}`))
})

journey('encryption keys are changed, rewrapped and given up, and every row stays readable', async (t) => {
  const { there, gateway, users, served } = await lived(t)
  const newer = newKey('second')
  const text = (...keys: (typeof newer)[]) => keys.map(({ id, secret }) => `${id}:${secret}`).join(',')
  const sealedUnder = async () => {
    const rows = await there.sql('select sealed_access_token as a from munjigi.connections')
    const kidOf = ({ a }: Record<string, unknown>) =>
      JSON.parse(Buffer.from(JSON.parse(String(a)).protected, 'base64url').toString()).kid as string
    return [...new Set(rows.map(kidOf))].sort()
  }
  const before = await served(gateway)
  t.true(before.every(({ status, token }) => status === 200 && token !== undefined))
  await gateway.kill()

  const both = { ENCRYPTION_KEYS: text(newer, there.key) }
  const second = await there.start(both)
  t.deepEqual(await served(second), before)
  const kakao = users.find(({ provider }) => provider === 'kakao')!
  t.is((await second.send('POST', `/oauth/${kakao.id}/refresh`, { token: kakao.token })).status, 200)
  t.deepEqual(await sealedUnder(), ['first', 'second'])
  const then = await served(second)

  const rewrap = await npmRun(['munjigi', '--', 'keys', 'rewrap'], { ...there.env, ...both })
  t.is(rewrap.code, 0, rewrap.output)
  t.regex(rewrap.output, new RegExp(`${users.length - 1} rows of the vault sealed anew`))
  t.deepEqual(await sealedUnder(), ['second'])
  t.deepEqual(await served(second), then, 'the running one reads them too')
  await second.kill()

  const third = await there.start({ ENCRYPTION_KEYS: text(newer) })
  t.deepEqual(await served(third), then)
  for (const { id, token, provider } of users) {
    const refreshed = await third.send('POST', `/oauth/${id}/refresh`, { token })
    t.is(refreshed.status, 200, `${provider}: ${refreshed.text}`)
  }
  t.log(rewrap.output.trim().split('\n').join('; '))
})

/** As an operator types it. */
async function npmRun(args: readonly string[], env: Readonly<Record<string, string>>) {
  const path = `${dirname(process.execPath)}:${process.env.PATH}`
  const child = spawn('npm', ['run', '--silent', ...args], { env: { PATH: path, ...env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
  }
  const [code] = await once(child, 'close')
  return { code: code as number, output }
}
