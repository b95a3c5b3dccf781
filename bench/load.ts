import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { onPath, packageVersion, programVersion, tied } from './machine.ts'
import type { Scenario } from './scenarios.ts'

interface Saturation {
  readonly requests: number
  readonly seconds: number
  /** Replies other than 2xx and 3xx, failed connections, reads and writes, and time-outs. */
  readonly errors: number
}

interface Paced {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly errors: number
}

/** Sends the load of one scenario to a port of the loopback. */
export interface Load {
  /** Name and version of what makes the load at saturation. */
  readonly name: string
  /** As fast as the answers come back. */
  saturate(port: number, scenario: Scenario, seconds: number): Promise<Saturation>
  /** At `rate` requests per second, whether or not earlier ones were answered. */
  pace(port: number, scenario: Scenario, seconds: number, rate: number): Promise<Paced>
}

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** wrk where it is on PATH, autocannon otherwise; the fixed rate comes from pacer.mjs in either case. */
export function createLoad(connections: number, core: number | undefined): Load {
  const run = (command: string, args: readonly string[]) => output(command, args, core)
  const pace: Load['pace'] = async (port, { method, path, body }, seconds, rate) => {
    const order = { host: '127.0.0.1', port, method, path, body, rate, seconds, connections }
    const lines = await run(process.execPath, [file('pacer.mjs'), JSON.stringify(order)])
    const result = JSON.parse(lines) as Paced & { unanswered: number }
    return { p50Ms: result.p50Ms, p99Ms: result.p99Ms, errors: result.errors + result.unanswered }
  }

  if (onPath('wrk')) {
    return {
      name: `wrk ${programVersion('wrk', ['-v'], /wrk (?:debian\/)?([\d.]+)/)}`,
      pace,
      saturate: async (port, { method, path, body, tokens }, seconds) => {
        const url = `http://127.0.0.1:${port}${path}`
        const how = [
          '-t1',
          `-c${connections}`,
          `-d${seconds}`,
          '--timeout=10s',
          '-s',
          file('wrk.lua'),
          url,
          '--',
          method,
          String(body.length),
        ]
        const lines = await run('wrk', tokens === undefined ? how : [...how, tokens])
        const result = JSON.parse(lines.trim().split('\n').at(-1) ?? '') as Record<string, number>
        const { requests = 0, durationUs = 0, status = 0, socket = 0 } = result
        return { requests, seconds: durationUs / 1e6, errors: status + socket }
      },
    }
  }
  return {
    name: `autocannon ${packageVersion('autocannon')}`,
    pace,
    saturate: async (port, { method, path, body }, seconds) => {
      const url = `http://127.0.0.1:${port}${path}`
      const how = ['--json', '-c', String(connections), '-d', String(seconds), '-m', method]
      const sent = body ? ['-b', body, '-H', 'content-type=text/plain'] : []
      const lines = await run(process.execPath, [
        file('node_modules/autocannon/autocannon.js'),
        ...how,
        ...sent,
        url,
      ])
      const result = JSON.parse(lines) as Record<
        '2xx' | 'non2xx' | 'errors' | 'timeouts' | 'duration',
        number
      >
      const errors = result.non2xx + result.errors + result.timeouts
      return { requests: result['2xx'] + result.non2xx, seconds: result.duration, errors }
    },
  }
}

async function output(command: string, args: readonly string[], core: number | undefined): Promise<string> {
  const child = spawn(...tied(command, args, core), { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, complaint] = await Promise.all([text(child.stdout), text(child.stderr)])
  if (out.trim() === '') throw new Error(`${command} printed nothing: ${complaint.trim().slice(0, 500)}`)
  return out
}
