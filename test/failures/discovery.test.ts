import { once } from 'node:events'
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { startGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { startSteadyLoad } from '../support/steady-load.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'
import { row, scaled } from './row.ts'

row('instance-refuses', async (t, see) => {
  const answer: http.RequestListener = (_request, response) => void response.end('alive')
  const [one, two] = [await httpUpstream(t, answer), await httpUpstream(t, answer)]
  let back = 0
  const mortal = await startHouse(await freePort(), 'mortal')
  const ejectMs = scaled(1500, 10_000)
  const { url, access, lines } = await startGateway(t, {
    file: {
      services: {
        house: {
          urls: [one.origin, two.origin, mortal.origin],
          ...{ auth: 'none', openapi: false, 'eject-time': `${ejectMs}ms` },
        },
      },
    },
  })
  const load = startSteadyLoad(t, `${url}/api/house`, {
    onReply: (text) => {
      if (text === 'again') back += 1
    },
  })
  const inAll = () => access.reduce((sum, { attempts = 1 }) => sum + attempts - 1, 0)
  const ejections = () => lines.filter(({ message }) => /ejected for/.test(message)).length
  await until(() => load.sent > 50, 'requests are on their way')

  await mortal.kill()
  const diedAt = performance.now()
  await until(() => ejections() >= 1, 'it is ejected')
  see(`ejected ${Math.round(performance.now() - diedAt)} ms after its death`)
  // The line about a request is written after those about its attempts.
  await until(() => inAll() >= 5, 'the requests that found it dead have been answered')
  await sleep(ejectMs / 2)
  const first = inAll()
  // Requests that were on their way to it when the fifth failed may fail as well.
  t.true(first >= 5 && first < 5 + 8, `${first} attempts`)
  await until(() => ejections() >= 2, 'it is ejected again')
  await until(() => inAll() > first, 'the request that found it dead has been answered')
  const second = inAll() - first
  t.true(second >= 1 && second <= 8, `${second} attempts`)

  await startHouse(mortal.port, 'again')
  await until(() => back > 10, 'it has its share again')
  await load.stop()
  t.deepEqual(load.failures, [])
  see(`${load.failures.length} of ${load.sent} requests failed`)
  see(`attempts at the dead instance: ${first} until the first ejection held, then ${second}`)

  async function startHouse(port: number, text: string) {
    const server = http.createServer({ keepAliveTimeout: 30_000 }, (_request, response) => {
      response.end(text)
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    async function kill(): Promise<void> {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    }
    t.teardown(kill)
    return { origin: `http://127.0.0.1:${port}`, port, kill }
  }
})
