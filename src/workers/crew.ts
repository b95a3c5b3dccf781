import cluster, { type Worker } from 'node:cluster'
import { fileURLToPath } from 'node:url'
import { type Backoff, backoffMs } from '../discovery/backoff.ts'
import type { Log } from '../observability/log.ts'
import { closeInTransit } from './in-transit.ts'
import { type Beginning, type Listening, type ToPrimary, type ToWorker, workerArgument } from './messages.ts'

/** The worker processes, each in a place of its own, which another takes when it crashes. */
export interface Crew {
  /** Resolves once all listen; rejects, with a message for the operator, where one ends before it ever did. */
  start(): Promise<Listening>
  /** To every worker that has begun; to those that listen alone where it is so said. */
  tell(message: ToWorker, to?: (worker: Worker) => boolean): number
  /** Has all of them drain; resolves when the last has ended. Never rejects. */
  stop(): Promise<void>
  /** Of those that live. */
  pids(): readonly number[]
  /** Ends all of them at once. */
  kill(): void
}

export interface CrewOptions {
  readonly size: number
  /** What a worker is told first. */
  readonly beginning: (place: number) => Beginning
  /** What a worker says of its own accord. */
  readonly hear: (worker: Worker, message: ToPrimary) => void
  /** How long draining may take. */
  readonly drainMs: number
  readonly log: Log
  readonly backoff?: Backoff
  /** Who has lived as long did not crash for the reason of its start. */
  readonly steadyMs?: number
}

interface Place {
  readonly number: number
  worker: Worker | undefined
  /** It has been told how things are: from then on it is told what changes. */
  begun: boolean
  listensSince: number | undefined
  /** Crashes in a row. */
  failures: number
  /** What it said of its failing. */
  lastWords: string | undefined
  restart: NodeJS.Timeout | undefined
}

/** Forks the workers by node:cluster. */
export function createCrew(options: CrewOptions): Crew {
  const { size, beginning, hear, drainMs, log } = options
  const { backoff = { firstMs: 200, mostMs: 30_000 }, steadyMs = 30_000 } = options
  const places = Array.from(
    { length: size },
    (_, index): Place => ({
      ...{ number: index + 1, worker: undefined, begun: false, listensSince: undefined },
      ...{ failures: 0, lastWords: undefined, restart: undefined },
    }),
  )
  const started = Promise.withResolvers<Listening>()
  started.promise.catch(() => {})
  const ended = Promise.withResolvers<void>()
  let isStarted = false
  let stopping = false

  function fork(place: Place): void {
    Object.assign(place, { begun: false, listensSince: undefined, lastWords: undefined })
    let worker: Worker
    try {
      worker = cluster.fork()
    } catch (error) {
      onExit(place, undefined, notStarted(error))
      return
    }
    const { pid } = worker.process
    if (pid === undefined) {
      // No process, no file descriptor was left (EAGAIN, EMFILE): there is an error then, and no exit.
      worker.once('error', (error) => onExit(place, pid, notStarted(error)))
      return
    }
    closeInTransit(worker)
    place.worker = worker
    worker.on('message', (message: ToPrimary) => onMessage(place, worker, message))
    // A message to one that has just died; its exit is what counts.
    worker.on('error', () => {})
    worker.once('exit', (code, signal) => onExit(place, pid, signal ?? `exit code ${code}`))
  }

  function onMessage(place: Place, worker: Worker, message: ToPrimary): void {
    if (message.kind === 'hello') {
      send(worker, { kind: 'begin', ...beginning(place.number) })
      place.begun = true
      if (stopping) send(worker, { kind: 'stop' })
    } else if (message.kind === 'listening') {
      place.listensSince = performance.now()
      const { pid } = worker.process
      if (isStarted) log.info({ worker: place.number, pid }, `worker ${place.number} (pid ${pid}) listens`)
      if (places.every(({ listensSince }) => listensSince !== undefined)) {
        isStarted = true
        started.resolve(message)
      }
    } else if (message.kind === 'failed') {
      place.lastWords = message.message
      if (!isStarted) started.reject(new Error(message.message))
    } else if (message.kind === 'turn') {
      send(worker, { kind: 'turned' })
    } else {
      hear(worker, message)
    }
  }

  /** @param pid undefined for one that could not be started */
  function onExit(place: Place, pid: number | undefined, how: string): void {
    const { number, listensSince, lastWords } = place
    const who = pid === undefined ? `worker ${number}` : `worker ${number} (pid ${pid})`
    place.worker = undefined
    if (stopping) {
      if (how !== 'exit code 0') log.warn({ worker: number, pid }, `${who} ended: ${how}`)
      if (places.every(({ worker }) => worker === undefined)) ended.resolve()
      return
    }
    if (!isStarted) {
      started.reject(new Error(`worker ${number} ended before it listened (${how})`))
      return
    }
    const isSteady = listensSince !== undefined && performance.now() - listensSince > steadyMs
    const pauseMs = Math.round(backoffMs(isSteady ? 0 : place.failures, backoff))
    place.failures = isSteady ? 1 : place.failures + 1
    const why = lastWords === undefined ? how : `${how}: ${lastWords}`
    log.error({ worker: number, pid }, `${who} ended (${why}); another takes its place in ${pauseMs} ms`)
    place.restart = setTimeout(() => fork(place), pauseMs)
  }

  const living = () => places.flatMap(({ worker }) => worker ?? [])
  const kill = () => {
    for (const { process: child } of living()) child.kill('SIGKILL')
  }

  return {
    start() {
      cluster.schedulingPolicy = cluster.SCHED_RR
      cluster.setupPrimary({
        exec: fileURLToPath(new URL('../main.ts', import.meta.url)),
        args: [workerArgument],
        serialization: 'advanced',
      })
      for (const place of places) fork(place)
      return started.promise
    },
    tell(message, to = () => true) {
      const told = places.flatMap(({ worker, begun }) => (begun && worker && to(worker) ? [worker] : []))
      for (const worker of told) send(worker, message)
      return told.length
    },
    async stop() {
      stopping = true
      for (const { restart } of places) clearTimeout(restart)
      if (living().length === 0) return
      // One that has not begun yet is told when it does.
      for (const { worker, begun } of places) if (worker && begun) send(worker, { kind: 'stop' })
      const tooLate = setTimeout(() => {
        log.warn({}, `workers that have not ended ${drainMs} ms after they were told to are killed`)
        kill()
      }, drainMs)
      await ended.promise
      clearTimeout(tooLate)
    },
    pids: () => living().flatMap(({ process: { pid } }) => pid ?? []),
    kill,
  }
}

const notStarted = (error: unknown) =>
  `it could not be started: ${(error as NodeJS.ErrnoException).code ?? String(error)}`

/** One that is about to end cannot be told any more. */
function send(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {})
}
