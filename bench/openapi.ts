import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { countOperations } from '../test/support/oas-examples.ts'
import { danglingReferences } from '../test/support/openapi-references.ts'
import { openapiSchema } from '../test/support/openapi-schema.ts'
import { runToEnd, wholeNumber } from './command-line.ts'
import { gatewayArgs } from './gateway-command.ts'
import { createLoad } from './load.ts'
import { describeMachine, findCores } from './machine.ts'
import { type RealDocument, realDocuments } from './openapi-documents.ts'
import { type MergeTimes, measureMerges } from './openapi-merge.ts'
import { type OpenapiFindings, writeOpenapiReport } from './openapi-report.ts'
import { createLauncher, freePort, memoryMiB, peakMemoryMiB, type Running } from './processes.ts'
import { createQuiet } from './quiet.ts'
import { expectBytes, type Scenario } from './scenarios.ts'

const usage = 'npm run bench:openapi -- [rounds (5)] [seconds (5)] [file to write (bench/OPENAPI.md)]'
const rate = 300
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

interface Shown {
  readonly paths: Record<string, object>
  readonly 'x-munjigi-services': readonly {
    readonly name: string
    readonly paths?: number
    readonly status: string
  }[]
}

async function main(): Promise<void> {
  const [rounds, seconds] = [wholeNumber(process.argv[2], 5, usage), wholeNumber(process.argv[3], 5, usage)]
  const output = process.argv[4] ?? file('OPENAPI.md')
  const documents = realDocuments()
  console.log(`${documents.length} documents are there`)
  const cores = findCores()
  const root = mkdtempSync(join(tmpdir(), 'munjigi-openapi-'))
  const config = join(root, 'gateway.yaml')
  const processes: Running[] = []
  const launch = createLauncher(root, processes)
  const houses: http.Server[] = []
  const quiet = createQuiet(rounds === 1 ? 0 : 2)
  const load = createLoad(16, cores.load)
  try {
    const merges: MergeTimes = await measureMerges(documents, 9)
    console.log('merges measured')
    const originPort = await freePort()
    launch('origin', cores.load, [file('origin.mjs')], { PORT: String(originPort) })
    const urls = new Map<string, string>()
    let open = false
    for (const document of documents) urls.set(document.name, await house(document, () => open))
    writeFileSync(config, yamlOf(urls, originPort))
    const { gateway, port } = await startGateway()
    await sleep(3000)
    const before = memoryMiB(gateway.pid)
    open = true
    const startedAt = performance.now()
    const shown = await everything(port, documents)
    const readyMs = performance.now() - startedAt
    const read = { before, peak: peakMemoryMiB(gateway.pid) }
    const faults = check(shown, documents)
    console.log(`merged document: ${faults.length === 0 ? 'valid and whole' : faults.slice(0, 5).join('; ')}`)

    // From here the highest resident set is that of merges (proc(5), clear_refs).
    await sleep(8000)
    const resting = memoryMiB(gateway.pid)
    writeFileSync(`/proc/${gateway.pid}/clear_refs`, '5')
    const scenario: Scenario = {
      ...{ name: 'GET 200 B', method: 'GET', path: '/api/load/small', body: '' },
      fault: (body) => expectBytes(body, 200),
    }
    await load.pace(port, scenario, 3, rate)
    const paced = {
      still: [] as number[],
      merging: [] as number[],
      still50: [] as number[],
      merging50: [] as number[],
    }
    let seen = 0
    for (let round = 0; round < rounds; round += 1) {
      const still = await quiet.run(() => paceOnce())
      const changing = keepChanging()
      const merging = await paceOnce()
      seen += await changing.stop()
      paced.still.push(still.p99Ms)
      paced.still50.push(still.p50Ms)
      paced.merging.push(merging.p99Ms)
      paced.merging50.push(merging.p50Ms)
      console.log(`round ${round + 1} of ${rounds}`)
    }
    const merged = { resting, peak: peakMemoryMiB(gateway.pid) }
    const etag = await settled(port)
    const requests = {
      plain: await asked(port, {}),
      gzip: await asked(port, { 'accept-encoding': 'gzip' }),
      fresh: await asked(port, { 'if-none-match': etag }),
    }
    const findings: OpenapiFindings = {
      ...{ rounds, seconds, rate, documents, merges, readyMs, read, merged, paced, requests, faults, quiet },
      ...{ mergesSeen: seen, operations: countOperations(shown), load: load.name },
      ...{ services: shown['x-munjigi-services'], machine: describeMachine(cores), date: new Date() },
    }
    const report = writeOpenapiReport(findings)
    console.log(report)
    writeFileSync(output, report)
    if (faults.length > 0) process.exitCode = 1

    async function paceOnce() {
      const result = await load.pace(port, scenario, seconds, rate)
      gateway.emptyLogs()
      if (result.errors > 0) throw new Error(`${result.errors} requests failed`)
      return result
    }

    /** Changes a route's scope whenever the last change is merged, so that the next merge begins. */
    function keepChanging() {
      let running = true
      let count = 0
      const done = (async () => {
        for (let turn = 1; running; turn += 1) {
          const last = (await ask(port, { 'if-none-match': '"none"' }, 'HEAD')).etag
          writeFileSync(config, yamlOf(urls, originPort, `scope${turn % 7}`))
          process.kill(gateway.pid, 'SIGHUP')
          const until = performance.now() + 20_000
          while (running && performance.now() < until) {
            await sleep(25)
            if ((await ask(port, {}, 'HEAD')).etag === last) continue
            count += 1
            break
          }
        }
      })()
      return {
        async stop() {
          running = false
          await done
          return count
        },
      }
    }
  } finally {
    await Promise.all(processes.map((running) => running.stop()))
    for (const server of houses) server.close()
    rmSync(root, { recursive: true, force: true })
  }

  /** Serves a document, once it is time, so that what reading takes can be told from what the start takes. */
  async function house({ bytes }: RealDocument, isOpen: () => boolean): Promise<string> {
    const etag = `"${bytes.length}"`
    const server = http.createServer((request, response) => {
      if (!isOpen()) return response.writeHead(503).end()
      if (request.headers['if-none-match'] === etag) return response.writeHead(304, { etag }).end()
      return response.writeHead(200, { 'content-type': 'application/json', etag }).end(bytes)
    })
    houses.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  async function startGateway() {
    const port = await freePort()
    // Tied to no core: what merging takes, it takes in a thread of its own.
    const gateway = launch('gateway', undefined, gatewayArgs(), {
      ...{ NODE_ENV: 'production', HOST: '127.0.0.1', PORT: String(port), DRAIN_DELAY: '0s' },
      ...{ ADMIN_PORT: String(await freePort()), ADMIN_HOST: '127.0.0.1', OVERLOAD_DELAY: '0s' },
      ...{ PUBLIC_URL: `http://127.0.0.1:${port}`, DATABASE_URL: 'none', GATEWAY_CONFIG: config },
      ENCRYPTION_KEYS: `openapi:${randomBytes(32).toString('base64')}`,
    })
    const deadline = performance.now() + 60_000
    for (;;) {
      const status = await fetch(`http://127.0.0.1:${port}/readyz`).then(
        (reply) => reply.status,
        () => 0,
      )
      if (status === 200) return { gateway, port }
      if (gateway.exited() || performance.now() > deadline)
        throw new Error(`no gateway: ${gateway.complaint()}`)
      await sleep(20)
    }
  }
}

/** Each document at /api/<name>, all of it. */
function yamlOf(urls: ReadonlyMap<string, string>, originPort: number, scope?: string): string {
  const entries = [...urls].map(
    ([name, url]) =>
      `  ${name}: { path: /api/${name}, strip: /api/${name}, ${guardOf(name, scope)}, urls: [${url}] }\n`,
  )
  const origin = `{ path: /api/load, strip: /api/load, auth: none, openapi: false, urls: ['http://127.0.0.1:${originPort}'] }`
  return `services:\n${entries.join('')}  load: ${origin}\n`
}

/** What a route demands of a caller stands in the merged document, which is another one where that changes. */
const guardOf = (name: string, scope = 'read') =>
  name === 'stripe' ? `auth: required, scope: ${scope}` : 'auth: none'

/** The merged document once all of them are in it. */
async function everything(port: number, documents: readonly RealDocument[]): Promise<Shown> {
  const deadline = performance.now() + 180_000
  for (;;) {
    await sleep(250)
    const { body, status } = await ask(port, {})
    const shown = status === 200 ? (JSON.parse(body.toString()) as Shown) : undefined
    const states = shown?.['x-munjigi-services'] ?? []
    if (
      documents.every(({ name }) => states.some((state) => state.name === name && (state.paths ?? 0) > 0))
    ) {
      return shown!
    }
    if (performance.now() > deadline) throw new Error(`not all documents are in: ${JSON.stringify(states)}`)
  }
}

function check(shown: Shown, documents: readonly RealDocument[]): string[] {
  const faults = [...openapiSchema()(shown), ...danglingReferences(shown)]
  for (const { name, bytes } of documents) {
    const expected = countOperations(JSON.parse(new TextDecoder().decode(bytes)) as object)
    const found = countOperations(
      shown,
      (path) => path.startsWith(`/api/${name}/`) || path === `/api/${name}`,
    )
    if (found !== expected) faults.push(`${name}: ${found} of ${expected} operations`)
  }
  return faults
}

/** The ETag of the merged document, once it has not changed for a while. */
async function settled(port: number): Promise<string> {
  const deadline = performance.now() + 120_000
  let last = ''
  for (let same = 0; same < 10; same += 1) {
    const { etag } = await ask(port, {}, 'HEAD')
    if (etag !== last) same = 0
    last = etag
    if (performance.now() > deadline) throw new Error('the merged document changes all the time')
    await sleep(1000)
  }
  return last
}

interface Reply {
  readonly status: number
  readonly etag: string
  readonly body: Buffer
  /** Until the head was there, and all of it. */
  readonly headMs: number
  readonly wholeMs: number
}

const agent = new http.Agent({ keepAlive: true })

async function ask(port: number, headers: http.OutgoingHttpHeaders, method = 'GET'): Promise<Reply> {
  const at = performance.now()
  const request = http
    .request({ host: '127.0.0.1', port, path: '/openapi.json', headers, method, agent })
    .end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const headMs = performance.now() - at
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const wholeMs = performance.now() - at
  const etag = String(response.headers.etag)
  return { status: response.statusCode!, etag, body: Buffer.concat(chunks), headMs, wholeMs }
}

async function asked(port: number, headers: http.OutgoingHttpHeaders) {
  const replies: Omit<Reply, 'body'>[] = []
  let bytes = 0
  for (let i = 0; i < 60; i += 1) {
    const { body, ...reply } = await ask(port, headers)
    bytes = body.length
    if (i >= 10) replies.push(reply)
  }
  return {
    bytes,
    headMs: replies.map(({ headMs }) => headMs),
    wholeMs: replies.map(({ wholeMs }) => wholeMs),
  }
}

await runToEnd(main)
