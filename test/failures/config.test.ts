import { startLiveGateway } from '../support/live-gateway.ts'
import { keepAliveAgent, request } from '../support/request.ts'
import { scrape } from '../support/scrape.ts'
import { fullFile, mistyped, typos } from '../support/typos.ts'
import { row, scaled } from './row.ts'

row('bad-config-live', async (t, see) => {
  const gateway = await startLiveGateway(t, fullFile)
  const made = typos.slice(0, scaled(5, typos.length))
  const failed: string[] = []
  let requests = 0
  let isOver = false

  /** A light load: one request after the other. */
  async function ask(): Promise<void> {
    for (const agent = keepAliveAgent(t); !isOver; requests += 1) {
      const { status, body } = await request(`${gateway.url}/api/house/x`, { agent })
      if (status !== 200 || body !== 'house /house/x') failed.push(`${status} ${body}`)
    }
  }

  const load = Promise.all([ask(), ask()])
  let slowest = 0
  for (const typo of made) {
    const told = gateway.process.output().length
    const writtenAt = performance.now()
    await gateway.write(mistyped(typo))
    await gateway.rejected()
    slowest = Math.max(slowest, performance.now() - writtenAt)
    const [line, key] = typo.at.split(' ')
    t.regex(
      gateway.process.output().slice(told),
      new RegExp(`config: gateway\\.yaml:${line}:\\d+ `),
      typo.what,
    )
    t.true(gateway.process.output().slice(told).includes(` ${key}: found `), typo.what)
    await gateway.write(fullFile)
    await gateway.current()
  }
  isOver = true
  await load
  t.deepEqual(failed, [])
  const { value } = await scrape(gateway.url)
  t.is(value('munjigi_config_reloads_total{result="failure"}'), made.length)
  see(`${made.length} typos, one after the other: ${failed.length} of ${requests} requests failed`)
  see(
    `each logged by line and key; the metric rose within ${Math.ceil(slowest / 10) * 10} ms, and fell once mended`,
  )
})
