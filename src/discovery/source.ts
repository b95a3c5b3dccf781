import type { z } from 'zod'
import type { Log } from '../observability/log.ts'
import type { Description } from './description.ts'

/** One running copy of a service (a house). */
export interface Instance {
  /** Unique within its service, stable across snapshots; the source's own id where it has one. */
  readonly id: string
  /** Scheme, host and port, no path: `http://127.0.0.1:8001`. What `new URL(…).origin` would give. */
  readonly origin: string
  /**
   * TLS server name and `Host` header where the origin is an address that stands for a name: an https house's
   * certificate names the name. Absent where the origin speaks for itself.
   */
  readonly serverName?: string
  /** How much it takes beside the others: 1 where absent; 0 for no new requests. */
  readonly weight?: number
}

/** What a source knows of one service. */
export interface Service {
  readonly name: string
  readonly instances: readonly Instance[]
  /** What the service says of its routes; keys it does not mention are absent. */
  readonly description: Description
  /**
   * How old it is, as its source counts: the smaller, the older. What the operator has named himself has none, and is
   * older than anything.
   */
  readonly since?: number
}

/**
 * Publishes a whole snapshot: every service the source knows now. Publishing the same again is a heartbeat. What was
 * published is not changed any more: a service that has changed is another object. `heardAt` (milliseconds since the
 * epoch) is given where it was not heard just now.
 */
export type Publish = (services: readonly Service[], heardAt?: number) => void

/** What a source is given besides its options. */
export interface SourceContext {
  readonly log: Log
  /** Aborted at shutdown: `watch` must then end, releasing what it holds. */
  readonly signal: AbortSignal
  /** Says what is wrong, for a source that goes on by itself all the same; any other rejects. */
  readonly fail: (error: Error) => void
  /** What this source published last, if it did: a watch that is started again need not begin blind. */
  readonly lastKnown?: readonly Service[] | undefined
}

/**
 * A place services are found in. The simplest one publishes once and returns when the signal aborts.
 *
 * `watch` publishes a snapshot whenever something changed and rejects on any fault: the watcher owns
 * back-off, jitter, dedupe, last-known-good and staleness, so a source needs none of them.
 */
export interface DiscoverySource<Options = unknown> {
  /** As in `DISCOVERY`. */
  readonly name: string
  /** The environment variables that `settings` reads, for the documentation. */
  readonly variables?: SourceVariables
  /** Reads the source's own settings; its issues become start-up faults that name the variable. */
  readonly settings: z.ZodType<Options, SourceInput>
  /** Whether `settings` reads `urls`: it is asked again when gateway.yaml names others. */
  readonly takesUrls?: boolean
  /** Whether it asks nobody: it says everything once, and no heartbeat is to be expected. */
  readonly isFixed?: boolean
  watch(options: Options, publish: Publish, context: SourceContext): Promise<void>
}

/** What the documentation says of a source's own variables. */
export type SourceVariables = Readonly<
  Record<string, { readonly description: string; readonly default?: string; readonly secret?: boolean }>
>

/** Where a source's settings come from. */
export interface SourceInput {
  readonly environment: Environment
  /**
   * `<NAME>_SERVICE_URL` and gateway.yaml's `urls`, checked: service name → absolute URLs without a path, with their
   * weight if they have one (weighted-url.ts).
   */
  readonly urls: ReadonlyMap<string, readonly string[]>
}

/** Environment variables by name; empty ones have been dropped. */
export type Environment = Readonly<Record<string, string | undefined>>
