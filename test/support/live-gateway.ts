import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { configFolder } from './config.ts'
import { startProcess } from './processes.ts'
import { request } from './request.ts'
import { scrape } from './scrape.ts'
import { until } from './until.ts'
import { httpUpstream } from './upstream.ts'

/** The gateway as a process of its own, whose gateway.yaml the test writes. HOUSE_URL is a house that says what it was asked. */
export async function startLiveGateway(
  t: ExecutionContext,
  yaml: string,
  env: Readonly<Record<string, string>> = {},
) {
  const house = await httpUpstream(t, (incoming, response) => {
    if (incoming.url === '/house/slow') setTimeout(() => response.end('slow house'), 1500)
    else response.end(`house ${incoming.url}`)
  })
  const cwd = configFolder(t)
  await writeFile(join(cwd, 'gateway.yaml'), yaml)
  const settings = { NODE_ENV: 'test', HOST: '127.0.0.1', PORT: '0', DRAIN_DELAY: '0s' }
  const process = startProcess(t, 'src/main.ts', { ...settings, HOUSE_URL: house.origin, ...env }, { cwd })
  const [, port] = await process.printed(/listens on http:\/\/[\w.]+:(\d+)/)
  const url = `http://127.0.0.1:${port}`
  /** What readiness says of gateway.yaml, and the metric. */
  const config = async () => {
    const { status, body } = await request(`${url}/readyz`)
    const { value } = await scrape(url)
    const isGood = value('munjigi_config_last_reload_successful') === 1
    return `${status} ${JSON.parse(body).config}, the metric ${isGood ? 'good' : 'bad'}`
  }
  return {
    house,
    process,
    url,
    config,
    /** As an editor does: another file takes its place. */
    async write(text: string) {
      await writeFile(join(cwd, 'gateway.yaml.new'), text)
      await rename(join(cwd, 'gateway.yaml.new'), join(cwd, 'gateway.yaml'))
    },
    rejected: () => became('200 rejected, the metric bad'),
    current: () => became('200 current, the metric good'),
    get: async (path: string) => {
      const { status, body } = await request(url + path)
      return `${status} ${status === 200 ? body : ''}`
    },
  }

  function became(state: string): Promise<void> {
    return until(async () => (await config()) === state, `the gateway says ${state}`)
  }
}
