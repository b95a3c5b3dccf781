import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { gzipSync } from 'node:zlib'
import { createGatewayDocument } from '../src/openapi/document.ts'
import { type MergeJob, mergeDocuments } from '../src/openapi/merge.ts'
import { readDocument } from '../src/openapi/read-document.ts'
import type { RealDocument } from './openapi-documents.ts'

/** What reading and merging take by themselves, in a thread that does nothing else. */
export interface MergeTimes {
  readonly readMs: readonly number[]
  readonly mergeMs: readonly number[]
  /** Of CPU time: what it takes however busy the machine is. */
  readonly mergeCpuMs: readonly number[]
  readonly gzipMs: readonly number[]
  readonly bytes: number
  /** Heap and buffers of the thread after a merge, more than before the first one; what is garbage by then included. */
  readonly memoryMiB: number
}

/** @param rounds merges that are measured, after two that are not */
export async function measureMerges(documents: readonly RealDocument[], rounds: number): Promise<MergeTimes> {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { documents, rounds },
    resourceLimits: { maxOldGenerationSizeMb: 384, maxYoungGenerationSizeMb: 32 },
  })
  const [times] = (await once(worker, 'message')) as [MergeTimes]
  await worker.terminate()
  return times
}

function measure(documents: readonly RealDocument[], rounds: number): MergeTimes {
  const readMs: number[] = []
  const services = documents.map(({ name, bytes }): MergeJob['services'][number] => {
    const at = performance.now()
    const reading = readDocument(bytes)
    readMs.push(performance.now() - at)
    if (reading.status !== 'ok') throw new Error(`${name} ${reading.reason}`)
    return { name, status: 'ok', document: reading.document, outline: reading.outline }
  })
  const job: MergeJob = {
    own: createGatewayDocument({ routePrefix: '', version: '0.0.0', tokens: true, dummies: false }),
    routePrefix: '',
    services,
    routes: documents.map(({ name }) => ({
      ...{ service: name, prefix: `/api/${name}`, strip: `/api/${name}`, auth: 'required', scopes: ['read'] },
      ...{ openapi: '/openapi.json', instances: [] },
    })),
  }
  const [mergeMs, mergeCpuMs, gzipMs]: [number[], number[], number[]] = [[], [], []]
  const before = memoryOfThread()
  let bytes = 0
  let memoryMiB = 0
  for (let round = -2; round < rounds; round += 1) {
    const cpu = process.threadCpuUsage()
    const at = performance.now()
    const merged = mergeDocuments(job)
    const mergedAt = performance.now()
    const { user, system } = process.threadCpuUsage(cpu)
    const memory = memoryOfThread()
    const packed = gzipSync(merged)
    if (round < 0 || packed.length === 0) continue
    mergeMs.push(mergedAt - at)
    mergeCpuMs.push((user + system) / 1000)
    gzipMs.push(performance.now() - mergedAt)
    bytes = merged.length
    memoryMiB = Math.max(memoryMiB, memory - before)
  }
  return { readMs, mergeMs, mergeCpuMs, gzipMs, bytes, memoryMiB }
}

function memoryOfThread(): number {
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}

if (!isMainThread) {
  const { documents, rounds } = workerData as { documents: readonly RealDocument[]; rounds: number }
  parentPort?.postMessage(measure(documents, rounds))
}
