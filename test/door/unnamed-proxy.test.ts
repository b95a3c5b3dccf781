import test from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { request } from '../support/request.ts'
import { httpUpstream } from '../support/upstream.ts'

const production = { NODE_ENV: 'production', PUBLIC_URL: 'https://www.jinmini.com' }
const headers = { 'x-forwarded-for': '203.0.113.7' }

test('in production a proxy that TRUSTED_PROXIES does not name is told of, once', async (t) => {
  const house = await httpUpstream(t, (_incoming, response) => response.end())
  const { url, lines } = await startGatewayFor(t, house.origin, {}, production)
  const told = () => lines.filter(({ message }) => message.includes('TRUSTED_PROXIES'))
  await request(`${url}/livez`)
  t.deepEqual(told(), [])
  for (const path of ['/livez', '/tokens/create']) await request(url + path, { headers })
  t.is(told().length, 1)
  t.like(told()[0], { level: 'warn', fields: { proxyAddress: '127.0.0.1' } })
  t.regex(told()[0]!.message, /came from 127\.0\.0\.1, .* its clients are counted as one$/)
})

for (const [how, env] of Object.entries({
  'where proxies are named': { ...production, TRUSTED_PROXIES: '127.0.0.1' },
  'while developing': {},
})) {
  test(`nothing is said of it ${how}`, async (t) => {
    const house = await httpUpstream(t, (_incoming, response) => response.end())
    const { url, lines } = await startGatewayFor(t, house.origin, {}, env)
    await request(`${url}/livez`, { headers })
    t.false(lines.some(({ message }) => message.includes('TRUSTED_PROXIES')))
  })
}
