import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { inCalm } from './calm.ts'
import { startProcess } from './processes.ts'

export const exampleFolder = resolve(import.meta.dirname, '../../examples/nextjs')
const unavailable = whyUnavailable()

/**
 * A test that needs the Next.js example, installed and built. Where it is not, the test is skipped, with the reason in
 * its title, and AVA's last lines count it; with `REQUIRE_NEXTJS=1` it fails instead.
 */
export function nextjsTest(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  // The example gives the gateway up after some seconds, and then says so to the user.
  if (unavailable === undefined) test(title, inCalm(run))
  else if (process.env.REQUIRE_NEXTJS === '1') test(title, (t) => t.fail(`no Next.js: ${unavailable}`))
  else test.skip(`${title} (SKIPPED, no Next.js: ${unavailable})`, run)
}

/** What was built before the sources became what they are would test nothing of them. */
function whyUnavailable(): string | undefined {
  if (!existsSync(join(exampleFolder, 'node_modules/next'))) return 'npm ci --prefix examples/nextjs'
  const build = join(exampleFolder, '.next/BUILD_ID')
  const isFresh = () => {
    const sources = readdirSync(join(exampleFolder, 'src'), { recursive: true, encoding: 'utf8' })
    const files = ['package-lock.json', 'next.config.ts', ...sources.map((name) => join('src', name))]
    const changedAt = files.map((name) => statSync(join(exampleFolder, name)).mtimeMs)
    return statSync(build).mtimeMs >= Math.max(...changedAt)
  }
  return existsSync(build) && isFresh() ? undefined : 'npm run build --prefix examples/nextjs'
}

/**
 * `npm start` of the built example, as a front end that the gateway at this address knows.
 *
 * @param port on which the gateway was told that it would be
 */
export async function startFrontEnd(
  t: Pick<ExecutionContext, 'teardown'>,
  gatewayUrl: string,
  port: number,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly url: string; output(): string }> {
  const url = `http://localhost:${port}`
  const settings = { GATEWAY_URL: gatewayUrl, FRONT_END_URL: url, ...env }
  const args = ['start', '--hostname', '127.0.0.1', '--port', String(port)]
  const server = startProcess(t, 'examples/nextjs/next.mjs', settings, { cwd: exampleFolder, args })
  await server.printed(/Ready in/)
  return { url, output: server.output }
}
