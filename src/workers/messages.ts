import type { Environment, Service } from '../discovery/source.ts'
import type { LevelChange } from '../observability/log-level.ts'
import type { EncryptionKey } from '../persistence/sealer.ts'

/** The argument that a worker of ours is started with. */
export const workerArgument = 'worker'

/** What the primary says to a worker. */
export type ToWorker =
  | ({ readonly kind: 'begin' } & Beginning)
  | ({ readonly kind: 'news' } & SourceNews)
  | { readonly kind: 'retired'; readonly generation: number }
  | { readonly kind: 'reload' }
  /** Drain, and end. */
  | { readonly kind: 'stop' }
  | ({ readonly kind: 'question'; readonly asker: number } & Question)
  /** How many others were asked. */
  | { readonly kind: 'asked'; readonly id: number; readonly others: number }
  | ({ readonly kind: 'answer' } & Answer)
  /** To `turn`. */
  | { readonly kind: 'turned' }

/** What a worker says to the primary. */
export type ToPrimary =
  /** It hears, and waits for `begin`. */
  | { readonly kind: 'hello' }
  | ({ readonly kind: 'listening' } & Listening)
  | { readonly kind: 'failed'; readonly message: string }
  | ({ readonly kind: 'ask' } & Question)
  | ({ readonly kind: 'answer'; readonly asker: number } & Answer)
  /** Wants to know whether there is a connection left for it: it comes before the answer. */
  | { readonly kind: 'turn' }

/** All that a worker needs to be like the others, whenever it starts: nothing of it is read again from elsewhere. */
export interface Beginning {
  /** From 1; a worker that takes another's place has its number. */
  readonly worker: number
  readonly workers: number
  /** Of the primary's start, with `.env`. */
  readonly environment: Environment
  /** What is in force of gateway.yaml; undefined where there is none. */
  readonly routingText: string | undefined
  readonly encryptionKeys: readonly EncryptionKey[]
  readonly sources: readonly SourceNews[]
  /** Where it is not the configured one. */
  readonly logLevel: LevelChange | undefined
}

export interface Listening {
  readonly port: number
  readonly adminUrl: string | undefined
}

/** What one of the primary's sources has said. */
export interface SourceNews {
  readonly source: string
  /** A source whose settings were changed by gateway.yaml is a new generation. */
  readonly generation: number
  /** Its settings, as far as gateway.yaml may change them; else null. */
  readonly options: unknown
  /** Services that were not, or not like this, in the news before. */
  readonly changed: readonly Service[]
  /** Names of those that are no more. */
  readonly gone: readonly string[]
  /** Milliseconds since the epoch; undefined until it has spoken once. */
  readonly heardAt: number | undefined
  /** Why it fails now; undefined where it does not. */
  readonly error: string | undefined
}

interface Question {
  readonly id: number
  readonly question: string
  /** Undefined where it takes none. */
  readonly argument: unknown
}

interface Answer {
  readonly id: number
  /** Undefined where there was none to give. */
  readonly value: unknown
}
