import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atMost } from '../support/figures.ts'
import { startGateway } from '../support/gateway.ts'
import { startKubernetesApi } from '../support/kubernetes-api.ts'
import { service, slice } from '../support/kubernetes-objects.ts'
import { startSteadyLoad } from '../support/steady-load.ts'
import { until } from '../support/until.ts'
import { httpUpstream, type TestUpstream } from '../support/upstream.ts'
import { row, scaled } from './row.ts'

row('kubernetes-watch', async (t, see) => {
  const folder = await mkdtemp(join(tmpdir(), 'munjigi-token-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const tokenFile = join(folder, 'token')
  await writeFile(tokenFile, 'first')
  /** As the kubelet does it: whoever reads has the old one or the new one. */
  async function swapToken(token: string): Promise<void> {
    await writeFile(join(folder, 'next'), token)
    await rename(join(folder, 'next'), tokenFile)
  }

  const house = (name: string) => httpUpstream(t, (_request, response) => void response.end(name))
  const houses = [await house('0'), await house('1')] as const
  const api = await startKubernetesApi(t, { token: 'first' })
  const sliceAt = ({ port }: TestUpstream) =>
    slice('auth', {
      endpoints: [{ address: '127.0.0.1' }],
      ports: [{ name: 'http', protocol: 'TCP', port }],
    })
  api.put('services', service('auth', { annotations: { auth: 'none', openapi: 'false' } }))
  api.put('endpointslices', sliceAt(houses[0]))
  const { url } = await startGateway(t, {
    env: { DISCOVERY: 'kubernetes', KUBECONFIG: await api.kubeconfig({ tokenFile }) },
  })
  let answered = ''
  const load = startSteadyLoad(t, `${url}/api/auth`, {
    connections: 4,
    onReply: (text) => {
      answered = text
    },
  })
  const count = (verb: string, status: number) =>
    api.calls.filter((call) => call.verb === verb && call.status === status).length
  let current = 0

  /** Breaks something, and says how long after its mending a new endpoint answers. */
  async function suffers(what: string, mostMs: number, harm: () => unknown): Promise<void> {
    await until(() => api.streams.open() === 2, `the watches are open before: ${what}`)
    await harm()
    const mendedAt = performance.now()
    current = 1 - current
    api.put('endpointslices', sliceAt(houses[current]!))
    await until(() => answered === String(current), `a new endpoint after: ${what}`)
    const tookMs = performance.now() - mendedAt
    t.true(tookMs <= atMost(mostMs), `${what}: ${tookMs} ms`)
    see(`${what}: ${(tookMs / 1000).toFixed(1)} s`)
  }

  await suffers('410 event', 10_000, () => {
    api.compact()
    api.streams.error(410)
  })
  await suffers('bookmark, then a reset in mid-event', 10_000, () => {
    api.compact()
    api.streams.bookmark()
    api.streams.breakInMidEvent()
  })
  await suffers('500 for the new list', 10_000, async () => {
    api.compact()
    api.answer(500, ({ verb }) => verb === 'list')
    api.streams.error(410)
    const wanted = count('list', 500) + scaled(2, 12)
    await until(() => count('list', 500) >= wanted, 'lists have failed')
    api.answer(undefined)
  })
  await suffers('401, the next token there', 70_000, async () => {
    await swapToken('second')
    api.expect('second')
    api.streams.breakInMidEvent()
  })
  await suffers('401, the next token late', 70_000, async () => {
    api.expect('third')
    api.streams.breakInMidEvent()
    const wanted = count('watch', 401) + 2
    await until(() => count('watch', 401) >= wanted, 'the old token is refused')
    await sleep(scaled(200, 20_000))
    await swapToken('third')
  })

  await load.stop()
  t.deepEqual(load.failures, [])
  see(`${load.failures.length} of ${load.sent} requests failed`)
})
