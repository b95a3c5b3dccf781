import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Pool } from 'undici'
import { freePort, start } from './processes.ts'
import { table } from './report.ts'

const usage = 'npm run soak -- [minutes (10)] [postgres://… (PGlite otherwise)]'
const client = `soak:${randomBytes(24).toString('base64url')}`
const house = '/api/house'

/** So many of each in a second. */
const rates = { guarded: 100, create: 10, refresh: 10, verify: 10, revoke: 5, invalid: 5 } as const

/** Minutes that count as warming up. */
const warmUp = 2

/**
 * The gateway under a steady rate of guarded requests, token creation, refresh, introspection and revocation: says how
 * its memory goes, minute by minute, and fails where anything was answered otherwise than it should be.
 */
async function main(): Promise<void> {
  const minutes = Number(process.argv[2] ?? 10)
  const databaseUrl = process.argv[3]
  if (!(minutes >= 1)) throw new Error(usage)
  const directory = mkdtempSync(join(tmpdir(), 'munjigi-soak-'))
  const origin = createServer((_request, response) => response.end('house')).listen(0, '127.0.0.1')
  const port = await freePort()
  const { port: housePort } = origin.address() as AddressInfo
  const services = { house: { urls: [`http://127.0.0.1:${housePort}`], openapi: false } }
  writeFileSync(join(directory, 'gateway.yaml'), JSON.stringify({ services }))
  const gateway = start(
    {
      command: process.execPath,
      args: [fileURLToPath(new URL('../src/main.ts', import.meta.url))],
      env: {
        NODE_ENV: 'production',
        ADMIN_PORT: '0',
        HOST: '127.0.0.1',
        PORT: String(port),
        PUBLIC_URL: `http://127.0.0.1:${port}`,
        ENCRYPTION_KEYS: `soak:${randomBytes(32).toString('base64')}`,
        GATEWAY_CLIENTS: client,
        TOKEN_RATE_LIMIT: '1000000/1m',
        // Short, so that expiry and deletion are part of what is seen.
        ACCESS_TOKEN_LIFETIME: '1m',
        REFRESH_TOKEN_LIFETIME: '2m',
        SESSION_LIFETIME: '3m',
        ...(databaseUrl === undefined
          ? { DATA_DIR: join(directory, 'data') }
          : { DATABASE_URL: databaseUrl }),
        DRAIN_DELAY: '0s',
      },
    },
    undefined,
    directory,
  )
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 32 })
  try {
    await ready(pool, gateway)
    const faults = new Map<string, number>()
    const traffic = createTraffic(pool, (fault) => faults.set(fault, (faults.get(fault) ?? 0) + 1))
    const rows: string[][] = []
    const samples: number[][] = []
    for (let minute = 1; minute <= minutes; minute += 1) {
      const rss: number[] = []
      for (let second = 0; second < 60; second += 1) {
        const tick = sleep(1000)
        traffic.second()
        await tick
        rss.push(residentMiB(gateway.pid))
      }
      gateway.emptyLogs()
      samples.push(rss)
      const row = [minute, Math.min(...rss), mean(rss), Math.max(...rss)].map((value) => value.toFixed(0))
      rows.push([...row, String(traffic.done())])
      console.log(row.join(' '))
    }
    await traffic.settled()
    const first = samples[Math.min(warmUp, minutes - 1)]!
    const last = samples.at(-1)!
    const growth = (mean(last) / mean(first) - 1) * 100
    console.log(`\n${table(['minute', 'least RSS, MiB', 'mean', 'most', 'requests so far'], rows)}\n`)
    console.log(
      `From minute ${Math.min(warmUp + 1, minutes)} to the last: ${growth.toFixed(1)} %; peak ${peakMiB(gateway.pid)} MiB`,
    )
    console.log(`Wrong answers: ${JSON.stringify(Object.fromEntries(faults))}`)
    if (faults.size > 0) process.exitCode = 1
  } finally {
    await pool.destroy()
    await gateway.stop()
    origin.closeAllConnections()
    origin.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

interface Pair {
  readonly access_token: string
  readonly refresh_token: string
}

function createTraffic(pool: Pool, fault: (what: string) => void) {
  const basic = `Basic ${Buffer.from(client).toString('base64')}`
  const pairs: Pair[] = []
  const running = new Set<Promise<void>>()
  let done = 0

  async function send(path: string, body: unknown, authorization?: string) {
    const reply = await pool.request({
      path,
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(authorization !== undefined && { authorization }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await reply.body.text()
    done += 1
    return { status: reply.statusCode, text }
  }
  const expect = (what: string, status: number, wanted: number) => {
    if (status !== wanted) fault(`${what}: ${status}`)
  }
  const any = () => pairs[Math.floor(Math.random() * pairs.length)]
  const take = () => pairs.splice(Math.floor(Math.random() * pairs.length), 1)[0]

  const acts: Readonly<Record<keyof typeof rates, () => Promise<void>>> = {
    async guarded() {
      const pair = any()
      if (pair === undefined) return
      const { status } = await send(house, undefined, `Bearer ${pair.access_token}`)
      // Taken away or refreshed meanwhile, by this very traffic.
      if (pairs.includes(pair)) expect('guarded', status, 200)
    },
    async create() {
      const terms = { subject: `user-${Math.floor(Math.random() * 1000)}`, scope: 'profile' }
      const { status, text } = await send('/tokens/create', terms, basic)
      expect('create', status, 200)
      if (status !== 200) return
      pairs.push(JSON.parse(text))
      // The lifetimes are short: what is older would be expired.
      if (pairs.length > 200) pairs.shift()
    },
    async refresh() {
      const pair = take()
      if (pair === undefined) return
      const { status, text } = await send('/tokens/refresh', { refresh_token: pair.refresh_token })
      expect('refresh', status, 200)
      if (status === 200) pairs.push(JSON.parse(text))
    },
    async verify() {
      const pair = any()
      if (pair === undefined) return
      const { status, text } = await send('/tokens/verify', { token: pair.access_token }, basic)
      expect('verify', status, 200)
      if (pairs.includes(pair) && !text.includes('"active":true')) fault('verify: inactive')
    },
    async revoke() {
      const pair = take()
      if (pair === undefined) return
      const { status } = await send('/tokens/revoke', { token: pair.refresh_token }, basic)
      expect('revoke', status, 200)
      const after = await send(house, undefined, `Bearer ${pair.access_token}`)
      expect('guarded after revocation', after.status, 401)
    },
    async invalid() {
      const { status } = await send(house, undefined, `Bearer ${randomBytes(200).toString('base64url')}`)
      expect('invalid', status, 401)
    },
  }

  return {
    /** Begins one second's worth, spread over it. */
    second() {
      for (const [name, rate] of Object.entries(rates)) {
        for (let i = 0; i < rate; i += 1) {
          const act = sleep(Math.random() * 950)
            .then(acts[name as keyof typeof rates])
            .catch((error: Error) => fault(`${name}: ${error.message}`))
          running.add(act)
          void act.finally(() => running.delete(act))
        }
      }
    },
    done: () => done,
    settled: () => Promise.all(running),
  }
}

async function ready(pool: Pool, gateway: { exited(): boolean; complaint(): string }): Promise<void> {
  const deadline = Date.now() + 60_000
  while (Date.now() < deadline && !gateway.exited()) {
    const reply = await pool.request({ path: '/readyz', method: 'GET' }).catch(() => undefined)
    await reply?.body.dump()
    if (reply?.statusCode === 200) return
    await sleep(200)
  }
  throw new Error(`the gateway is not ready: ${gateway.complaint()}`)
}

const statusOf = (pid: number, field: string) =>
  Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) /
  1024
const residentMiB = (pid: number) => statusOf(pid, 'VmRSS')
const peakMiB = (pid: number) => statusOf(pid, 'VmHWM').toFixed(0)
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

await main().catch((error: Error) => {
  console.error(error.message)
  process.exitCode = 1
})
