import type { IncomingHttpHeaders } from 'node:http'
import test from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { startIssuer } from '../support/issuer.ts'
import { codeOf, request } from '../support/request.ts'
import { httpUpstream } from '../support/upstream.ts'
import { DeclinedError, openWebSocket, webSocketHouse } from '../support/websocket.ts'

test('nobody in particular passes a route that injects, without a token of a provider', async (t) => {
  const heard: IncomingHttpHeaders[] = []
  const { origin } = await httpUpstream(t, ({ headers }, response) => {
    heard.push(headers)
    response.end('house')
  })
  const { url } = await startGatewayFor(t, origin, { auth: 'optional', inject: 'kakao' })
  const headers = { 'X-Provider-Token': 'made up' }
  t.is((await request(`${url}/api/house`, { headers })).status, 200)
  t.is(heard[0]?.['x-provider-token'], undefined)

  const speaking = await webSocketHouse(t)
  const { url: other } = await startGatewayFor(t, speaking.origin, { auth: 'optional', inject: 'kakao' })
  await t.notThrowsAsync(openWebSocket(t, `${other}/api/house`))
})

test('who is known there needs a connection, and the access line says who it was', async (t) => {
  const { origin } = await httpUpstream(t, () => t.fail('the house was asked'))
  const issuer = await startIssuer(t)
  const description = { auth: 'optional', inject: 'kakao' }
  const { url, access } = await startGatewayFor(t, origin, description, { TRUSTED_ISSUERS: issuer.setting })
  const headers = { Authorization: `Bearer ${await issuer.token()}` }
  const reply = await request(`${url}/api/house`, { headers })
  t.is(reply.status, 403)
  t.is(codeOf(reply), 'connection_required')
  const declined = await t.throwsAsync(openWebSocket(t, `${url}/api/house`, { headers }), {
    instanceOf: DeclinedError,
  })
  t.is(declined?.response.statusCode, 403)
  for (const { status, subject } of access) t.deepEqual([status, typeof subject], [403, 'string'])
})
