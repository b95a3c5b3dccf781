import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ExecutionContext } from 'ava'
import { startProcess, type TestProcess } from './processes.ts'

export interface GatewayProcess {
  readonly url: string
  readonly port: number
  readonly process: TestProcess
  /** Most megabytes that it has held in memory so far; what it holds now where the system does not keep count. */
  peakMemory(): Promise<number>
}

/** The gateway as a process of its own, with one service, `house`, under `/api/house`, open to everybody. */
export async function startGatewayProcess(
  t: ExecutionContext,
  origin: string,
  env: Readonly<Record<string, string>> = {},
  nodeOptions: readonly string[] = [],
): Promise<GatewayProcess> {
  const cwd = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(cwd, { recursive: true, force: true }))
  const services = { house: { urls: [origin], auth: 'none', openapi: false } }
  await writeFile(join(cwd, 'gateway.yaml'), JSON.stringify({ services }))
  const settings = {
    NODE_ENV: 'test',

    HOST: '127.0.0.1',
    PORT: '0',
    DRAIN_DELAY: '0s',
    ...env,
  }
  const process = startProcess(t, 'src/main.ts', settings, { cwd, nodeOptions })
  const [, port] = await process.printed(/listens on http:\/\/[\w.]+:(\d+)/)
  return {
    url: `http://127.0.0.1:${port}`,
    port: Number(port),
    process,
    peakMemory: () => peakMemory(process.pid),
  }
}

async function peakMemory(pid: number): Promise<number> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
  } catch {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)])
    return Number(stdout) / 1024
  }
}
