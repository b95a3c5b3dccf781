import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'ava'
import { createAuthService } from '../../../services/auth/app.ts'
import { createLimits } from '../../../services/auth/limits.ts'
import { login } from '../../../services/auth/login.ts'
import { createPasswords } from '../../../services/auth/passwords.ts'
import { Problem } from '../../../services/auth/problem.ts'
import { pair } from '../../support/token-endpoint.ts'

const password = 'correct horse battery staple'
const cheap = { memory: 64, passes: 1, parallelism: 1 }

test('a right password is let in though there is no time to renew its hash', async (t) => {
  const passwordHash = await createPasswords({ cost: cheap }).hash(password)
  const user = { id: 'user-1', email: 'ann@example.com', name: null, passwordHash, createdAt: new Date() }
  const renewed: string[] = []
  const passwords = createPasswords({ cost: { ...cheap, passes: 2 } })
  const rate = { points: 100, seconds: 60 }
  const unasked = () => t.fail() as never
  const accounts = {
    signup: unasked,
    me: unasked,
    login: login({
      users: {
        add: unasked,
        findById: unasked,
        findByEmail: async () => user,
        replacePasswordHash: async (_user, hash) => void renewed.push(hash),
      },
      passwords: {
        ...passwords,
        hash: async () => {
          throw new Problem(503, 'busy')
        },
      },
      limits: createLimits({ login: rate, address: rate, shared: undefined }),
      gateway: { createTokens: async () => pair },
    }),
  }
  const server = createServer(createAuthService({ log: { line() {} }, accounts }).callback())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const ask = (given: string) =>
    fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/user/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ email: user.email, password: given }),
    })
  const reply = await ask(password)
  t.is(reply.status, 200)
  t.deepEqual(await reply.json(), pair)
  t.deepEqual(renewed, [])
  t.is((await ask('wrong')).status, 401)
})
