import test from 'ava'
import { openDashboardEvents } from '../support/dashboard-events.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'
import { startWorkers } from '../support/workers.ts'

test('with several workers it shows what all of them do, whichever it is open at', async (t) => {
  const held: (() => void)[] = []
  const { origin } = await httpUpstream(t, (incoming, reply) => {
    if (incoming.url?.endsWith('held')) held.push(() => reply.end())
    else reply.end()
  })
  const gateway = await startWorkers(t, origin)
  const events = await openDashboardEvents(t, gateway.url)
  await events.next(({ data }) => data.gateway.workers.length === 2)
  // Each on a connection of its own: the workers take them in turns.
  await Promise.all(Array.from({ length: 20 }, () => request(`${gateway.url}/api/house`)))
  const waiting = Array.from({ length: 6 }, () => request(`${gateway.url}/api/house/held`))
  await events.next(({ data }) => data.services?.house?.instances[0].inFlight === 6)
  for (const answer of held) answer()
  await Promise.all(waiting)
  const counted = async () => {
    const late = await openDashboardEvents(t, gateway.url)
    const { points } = (await late.next()).data
    late.close()
    return (points?.house ?? []).reduce((sum: number, [, requests]: number[]) => sum + requests!, 0)
  }
  await until(async () => (await counted()) === 26, 'all are counted, once each')
  t.is(await counted(), 26)
})
