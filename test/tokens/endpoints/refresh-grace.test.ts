import { randomBytes } from 'node:crypto'
import { decodeJwt } from 'jose'
import { eachDatabase } from '../../support/database.ts'
import {
  asNobody,
  asShop,
  shared,
  someone,
  startTokenParts,
  startTokenServer,
} from '../../support/token-server.ts'

eachDatabase(({ name, test, fresh }) => {
  const oldKey = randomBytes(32)
  const newKey = randomBytes(32)
  const servers = shared(async (t) => {
    const parts = await startTokenParts(t, await fresh(t))
    const config = { refreshGraceMs: 60_000 }
    const start = (...successorKeys: Uint8Array[]) =>
      startTokenServer(t, parts, { config, routes: { successorKeys } })
    return { server: await start(oldKey), afterRotation: await start(newKey, oldKey) }
  })
  async function signIn() {
    const { server, afterRotation } = await servers()
    const { json } = await server.post('/tokens/create', { subject: someone() })
    const refresh = async (
      refreshToken: string,
      at = server,
      headers: Readonly<Record<string, string>> = asNobody,
    ) => at.post('/tokens/refresh', { refresh_token: refreshToken }, headers)
    return {
      ...server,
      afterRotation,
      refresh,
      pair: json,
      sessionId: String(decodeJwt(json.access_token).sid),
    }
  }

  const many = name === 'PGlite' ? 20 : 100
  test(`with a grace ${many} parallel refreshes of one token all get the same successor`, async (t) => {
    const { refresh, pair, denials, sessionId } = await signIn()
    const replies = await Promise.all(Array.from({ length: many }, () => refresh(pair.refresh_token)))
    t.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]))
    const successors = new Set(replies.map(({ json }) => json.refresh_token))
    t.is(successors.size, 1)
    t.is(new Set(replies.map(({ json }) => decodeJwt(json.access_token).jti)).size, many)
    t.false(denials.isDenied(undefined, sessionId))
    t.is((await refresh([...successors][0]!)).status, 200)
  })

  test('within the grace a straggler whose successor was used gets nothing, and ends nothing', async (t) => {
    const { refresh, pair, denials, sessionId } = await signIn()
    const next = await refresh(pair.refresh_token)
    const afterNext = await refresh(next.json.refresh_token)
    t.is((await refresh(pair.refresh_token)).json.error, 'invalid_grant')
    t.false(denials.isDenied(undefined, sessionId))
    t.is((await refresh(afterNext.json.refresh_token)).status, 200)
  })

  test('after the grace the old token ends the session', async (t) => {
    const { refresh, pair, denials, sessionId, database } = await signIn()
    await refresh(pair.refresh_token)
    await database.run((em) =>
      em.execute(
        `update munjigi.refresh_tokens set used_at = used_at - interval '61 seconds' where session_id = ?`,
        [sessionId],
      ),
    )
    t.is((await refresh(pair.refresh_token)).json.error, 'invalid_grant')
    t.true(denials.isDenied(undefined, sessionId))
  })

  test('the successor is the same at a replica that has a newer encryption key', async (t) => {
    const { refresh, pair, afterRotation } = await signIn()
    const next = await refresh(pair.refresh_token)
    const again = await refresh(pair.refresh_token, afterRotation)
    t.is(again.status, 200)
    t.is(again.json.refresh_token, next.json.refresh_token)
  })

  test('another client gets no successor within the grace', async (t) => {
    const { refresh, pair, server } = { ...(await signIn()), ...(await servers()) }
    await refresh(pair.refresh_token)
    t.is((await refresh(pair.refresh_token, server, asShop)).json.error, 'invalid_grant')
  })
})
