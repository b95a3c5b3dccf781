import { once } from 'node:events'
import { dirname } from 'node:path'
import type { ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import type { WebSocket } from 'ws'
import { calmTest as test } from '../support/calm.ts'
import { freshEmbedded } from '../support/database.ts'
import { atMost } from '../support/figures.ts'
import { startGateway } from '../support/gateway.ts'
import { startIssuer } from '../support/issuer.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { nextMessage, openWebSocket, webSocketHouse } from '../support/websocket.ts'

/** A gateway with a guarded and an open route to a house that speaks WebSocket. */
async function guarded(t: ExecutionContext, env: Readonly<Record<string, string>>) {
  const trusted = await startIssuer(t)
  const house = await webSocketHouse(t)
  const path = ['/api/house', '/api/house/open; auth=none']
  const gateway = await startGateway(t, {
    file: { services: { house: { urls: [house.origin], openapi: false, path } } },
    env: { TRUSTED_ISSUERS: trusted.setting, ...env },
  })
  const open = (token: string, to = '') =>
    openWebSocket(t, `${gateway.url}/api/house${to}`, { headers: { authorization: `Bearer ${token}` } })
  return { ...gateway, trusted, house, open }
}

/** The echo of a message, which both ways have to be open for. */
async function isOpen(socket: WebSocket): Promise<boolean> {
  const message = nextMessage(socket)
  socket.send('still here')
  return (await message) === 'still here'
}

test('a WebSocket is closed within 2 s of the revocation of its token, and no other is', async (t) => {
  const { dataDir } = await freshEmbedded(t)
  const { url, access, house, trusted, open } = await guarded(t, {
    DATA_DIR: dirname(dataDir),
    DATABASE_URL: '',
  })
  const post = async (path: string, body: unknown) => {
    const authorization = `Basic ${Buffer.from('dev-client:dev-secret').toString('base64')}`
    const headers = { authorization, 'content-type': 'application/json' }
    const reply = await request(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    t.is(reply.status, 200, reply.body)
    return reply.body === '' ? {} : JSON.parse(reply.body)
  }
  const create = async () => (await post('/tokens/create', { subject: 'user-1' })).access_token as string
  const [token, other] = [await create(), await create()]
  const { jti, sid } = decodeJwt(token)
  const socket = await open(token)
  const others = await Promise.all([
    open(other),
    open(token, '/open'),
    // Another issuer may give the same ids.
    trusted.token({ jti, sid }).then((foreign) => open(foreign)),
  ])
  const closed = once(socket, 'close')
  const houseClosed = once(house.opened[0]!.socket, 'close')
  const startedAt = performance.now()
  await post('/tokens/revoke', { token })
  await Promise.all([closed, houseClosed])
  const took = performance.now() - startedAt
  t.true(took < atMost(2000), `it took ${took} ms`)
  for (const one of others) t.true(await isOpen(one))
  const line = () => access.find(({ status }) => status === 101)
  await until(() => line() !== undefined, 'its line')
  t.is(line()?.errorCode, 'invalid_token')
  t.is(access.filter(({ status }) => status === 101).length, 1)
})

test('a WebSocket is closed when its token expires, one on an open route is not', async (t) => {
  const { trusted, open } = await guarded(t, {})
  const exp = Math.floor(Date.now() / 1000) + 3
  const token = await trusted.token({ exp })
  const unguarded = await open(token, '/open')
  const lasting = await open(await trusted.token({ exp: exp + 60 * 86_400 }))
  const socket = await open(token)
  t.true(await isOpen(socket))
  await once(socket, 'close')
  const late = Date.now() / 1000 - exp
  t.true(late >= 0 && late < atMost(3000) / 1000, `${late} s late`)
  t.true(await isOpen(lasting))
  t.true(await isOpen(unguarded))
})
