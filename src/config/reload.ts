import type { Log } from '../observability/log.ts'
import { stackOf } from '../observability/stack.ts'
import { inSlices } from '../slices.ts'
import type { RoutingConfig } from './config.ts'
import { isReadOnce, readRegular } from './environment.ts'
import { ConfigError, type Fault, formatFault } from './fault.ts'
import type { FileText, RoutingFile } from './routing.ts'
import { type FileWatch, watchFile } from './watch-file.ts'

/** How the running configuration and the file go together, for readiness and metrics. */
export interface ReloadStatus {
  /** `rejected`: the file says something else, which cannot be used. */
  readonly state: 'current' | 'rejected'
  /** 1 at the start, one more with each change that was taken over. */
  readonly version: number
  /** Milliseconds since the epoch. */
  readonly loadedAt: number
  /** What was wrong with the file when it was last read; undefined where it is current. */
  readonly lastError: string | undefined
  /**
   * How often the file was read since the start because it had changed or somebody asked, by what came of it; a change
   * that the next one overtook is not among them.
   */
  readonly reloads: { readonly success: number; readonly failure: number }
}

export interface Reloader {
  /** Watches the file from now on, unless it was read from a pipe. */
  start(): void
  /** What is being looked at is not taken over any more. */
  stop(): void
  /** Reads the file now, changed or not; resolves, and never rejects, once it is known what has come of it. */
  reload(): Promise<void>
  status(): ReloadStatus
}

export interface ReloaderOptions {
  readonly file: RoutingFile
  /** What the file said at the start. */
  readonly routing: RoutingConfig
  /** Takes over what the file says now. */
  readonly apply: (next: RoutingConfig, previous: RoutingConfig) => void
  readonly log: Log
  readonly pollMs?: number
}

/**
 * Has gateway.yaml followed while the gateway runs. What is wrong, or gone, never takes the place of what was right:
 * it is logged, a line for each fault, and shown by `status`.
 */
export function createReloader({ file, routing, apply, log, pollMs }: ReloaderOptions): Reloader {
  const { name } = file
  let current = routing
  let accepted = file.text
  let version = 1
  let loadedAt = Date.now()
  let lastError: string | undefined
  const reloads = { success: 0, failure: 0 }
  let watch: FileWatch | undefined
  let stopped = false
  let next: { readonly text: FileText } | undefined
  let working: Promise<void> | undefined

  /** One text after the other, so that an older one never follows a newer; of those that wait the last one. */
  function take(text: FileText): Promise<void> {
    next = { text }
    working ??= work()
    return working
  }

  async function work(): Promise<void> {
    while (next !== undefined && !stopped) {
      const { text } = next
      next = undefined
      await look(text)
    }
    working = undefined
  }

  async function look(text: FileText): Promise<void> {
    try {
      if (text === accepted) {
        agree(text === undefined ? 'there is still no such file' : 'it says what is in force')
      } else if (text === undefined) {
        reject([{ place: { file: name, line: 1, column: 1, key: '' }, ...gone }])
      } else {
        await takeOver(text)
      }
    } catch (error) {
      if (stopped) return
      if (error instanceof ConfigError) {
        reject(error.faults)
      } else {
        lastError = 'an error of the gateway itself'
        reloads.failure += 1
        log.error({ stack: stackOf(error) }, `config: ${name} could not be taken over`)
      }
    }
  }

  async function takeOver(text: string | Error): Promise<void> {
    // A large file takes a while, in which requests go on.
    const read = await inSlices(file.parse(text, current))
    if (stopped) return
    apply(read, current)
    current = read
    accepted = text
    version += 1
    loadedAt = Date.now()
    agree(`taken over, ${read.services.size} ${read.services.size === 1 ? 'service' : 'services'}`)
  }

  function agree(how: string): void {
    lastError = undefined
    reloads.success += 1
    log.info({ config: 'current', version }, `config: ${name}: ${how}`)
  }

  function reject(faults: readonly Fault[]): void {
    const sentences = faults.map(formatFault)
    lastError = sentences.join('; ')
    reloads.failure += 1
    for (const [index, { place }] of faults.entries()) log.error({ ...place }, `config: ${sentences[index]}`)
    log.warn({ config: 'rejected', version }, `config: ${name} is not taken over: what was in force stays`)
  }

  return {
    start() {
      if (typeof file.text === 'string' && isReadOnce(file.path)) {
        log.info({}, `config: ${name} is no regular file: it was read once, and is not followed`)
        return
      }
      watch ??= watchFile({
        path: file.path,
        known: file.text,
        onChange: (text) => void take(text),
        ...(pollMs !== undefined && { pollMs }),
      })
    },
    stop() {
      stopped = true
      watch?.stop()
    },
    reload: () => take(readRegular(file.path)),
    status: () => ({
      state: lastError === undefined ? 'current' : 'rejected',
      version,
      loadedAt,
      lastError,
      reloads: { ...reloads },
    }),
  }
}

const gone = { found: 'no such file any more', expected: 'a YAML file' }
