import { Worker } from 'node:worker_threads'
import type { MergeJob } from './merge.ts'
import type { Reading } from './read-document.ts'

/** A document as a service sent it. */
export interface RawDocument {
  /** Its bytes, in blocks. */
  readonly blocks: readonly Uint8Array<ArrayBuffer>[]
  readonly syntax: 'json' | 'yaml'
  /** The path it was fetched from, without its query. */
  readonly location: string
  readonly coding: 'identity' | 'gzip'
  /** Of the inflated text. */
  readonly maxBytes: number
}

/** A document as it is served. */
export interface ServedDocument {
  /** JSON in UTF-8. */
  readonly body: Uint8Array<ArrayBuffer>
  readonly gzip: Uint8Array<ArrayBuffer>
  /** The SHA-256 of `body`, base64url: the same in every process that serves the same. */
  readonly hash: string
}

export type Job =
  | { readonly kind: 'read'; readonly raw: RawDocument }
  | { readonly kind: 'merge'; readonly job: MergeJob }

/** What the thread says: `started` once, then one answer for each job. */
export type ThreadMessage =
  | 'started'
  | { readonly result: Reading | ServedDocument }
  | { readonly failed: string }

/** The thread did not end a job: it took too long or too much memory, or threw. Words for whoever reads the log. */
export class JobFailed extends Error {
  override name = 'JobFailed'
}

/** Does what is heavy about documents in a thread of its own, one job after another. */
export interface Workshop {
  /**
   * Checks and converts what a service sent. Its blocks belong to the thread afterwards.
   *
   * @throws JobFailed, or the signal's reason where it aborts before the job's turn
   */
  read(raw: RawDocument, signal?: AbortSignal): Promise<Reading>
  /** Merges documents, ahead of those that wait to be read. Throws as `read` does. */
  merge(job: MergeJob, signal?: AbortSignal): Promise<ServedDocument>
  /** Ends the thread; jobs that are not done fail. */
  stop(): Promise<void>
}

export interface WorkshopLimits {
  /** For one job; the thread is ended after it. */
  readonly jobMs: number
  /** How long a thread without a job is kept. */
  readonly idleMs: number
  /** What the thread's JavaScript may have on its heap. */
  readonly heapMb: number
}

const usualLimits: WorkshopLimits = { jobMs: 30_000, idleMs: 5000, heapMb: 384 }

interface Task {
  readonly job: Job
  readonly signal: AbortSignal | undefined
  readonly resolve: (result: Reading | ServedDocument) => void
  readonly reject: (reason: unknown) => void
}

/** Makes the thread when there is a job. A job that ends the thread costs that job only. */
export function createWorkshop(options: Partial<WorkshopLimits> = {}): Workshop {
  const limits = { ...usualLimits, ...options }
  const merges: Task[] = []
  const reads: Task[] = []
  let thread: Worker | undefined
  let started = false
  let current: Task | undefined
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  function submit<Result>(job: Job, signal: AbortSignal | undefined): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (stopped) return reject(new JobFailed('the gateway is stopping'))
      const task = { job, signal, reject, resolve: resolve as Task['resolve'] }
      if (job.kind === 'merge') merges.push(task)
      else reads.push(task)
      proceed()
    })
  }

  function proceed(): void {
    if (current !== undefined) return
    current = takeNext()
    if (current === undefined) {
      rest()
      return
    }
    thread ??= startThread()
    thread.ref()
    watch(limits.jobMs, () => abandon(`takes longer than ${limits.jobMs / 1000} s`))
    if (started) post()
  }

  function takeNext(): Task | undefined {
    for (;;) {
      const task = merges.shift() ?? reads.shift()
      if (!task?.signal?.aborted) return task
      task.reject(task.signal.reason)
    }
  }

  function post(): void {
    if (current === undefined) return
    const { job } = current
    thread?.postMessage(job, job.kind === 'read' ? job.raw.blocks.map(({ buffer }) => buffer) : [])
  }

  function startThread(): Worker {
    const mine = new Worker(new URL('./thread.ts', import.meta.url), {
      name: 'openapi',
      // Nothing in it needs a setting, and some of them are secrets.
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: limits.heapMb, maxYoungGenerationSizeMb: 32 },
    })
    mine.on('message', (message: ThreadMessage) => {
      if (thread !== mine) return
      if (message === 'started') {
        started = true
        // A slow machine's time to load modules is no document's fault.
        timer?.refresh()
        return post()
      }
      const task = settle()
      if ('result' in message) task?.resolve(message.result)
      else task?.reject(new JobFailed(message.failed))
      proceed()
    })
    mine.on('error', (error: NodeJS.ErrnoException) => {
      if (thread !== mine) return
      const needs = error.code === 'ERR_WORKER_OUT_OF_MEMORY'
      abandon(needs ? `needs more memory than ${limits.heapMb} MB` : `failed (${error.code ?? error.name})`)
    })
    mine.on('exit', () => {
      if (thread === mine) abandon('was given up')
    })
    return mine
  }

  /** Ends the thread with the job it is at, and goes on with the next one in another. */
  function abandon(why: string): void {
    void endThread()
    settle()?.reject(new JobFailed(why))
    proceed()
  }

  function settle(): Task | undefined {
    clearTimeout(timer)
    const task = current
    current = undefined
    return task
  }

  function rest(): void {
    thread?.unref()
    if (thread !== undefined) watch(limits.idleMs, () => void endThread())
  }

  function watch(ms: number, then: () => void): void {
    clearTimeout(timer)
    timer = setTimeout(then, ms).unref()
  }

  async function endThread(): Promise<void> {
    const ended = thread
    thread = undefined
    started = false
    await ended?.terminate()
  }

  return {
    read: (raw, signal) => submit({ kind: 'read', raw }, signal),
    merge: (job, signal) => submit({ kind: 'merge', job }, signal),
    async stop() {
      stopped = true
      clearTimeout(timer)
      for (const task of [settle(), ...merges.splice(0), ...reads.splice(0)]) {
        task?.reject(new JobFailed('the gateway is stopping'))
      }
      await endThread()
    },
  }
}
