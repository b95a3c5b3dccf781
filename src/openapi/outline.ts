import { deserialize, serialize } from 'node:v8'
import type { Section } from './grammar.ts'
import type { Json, JsonObject } from './json.ts'

/**
 * What merging has to know of a document, so that it need not be parsed again: which pieces it has, what they refer
 * to, and the slots in them where a name goes that the merged document decides.
 */
export interface Outline {
  readonly info: JsonObject
  readonly tags: readonly JsonObject[]
  /** What its paths are relative to: empty or `/v1`. */
  readonly base: string
  readonly converted?: string
  /** What of it is not shown, and why. */
  readonly notes: readonly string[]
  /** What every operation demands that says nothing of it; null where nothing is said at all. */
  readonly security: readonly JsonObject[] | null
  readonly components: readonly OutlinedComponent[]
  readonly paths: readonly { readonly path: string; readonly piece: Piece }[]
  readonly operations: readonly OutlinedOperation[]
  /** Operation ids that stand in slots. */
  readonly ids: readonly string[]
  /** References to operations by their path. */
  readonly pointers: readonly { readonly path: string; readonly tail: string }[]
  /** Three numbers for each slot, in the order of the bytes: where it is, its kind, what it names. */
  readonly slots: Uint32Array
}

export interface OutlinedComponent {
  readonly section: Section
  /** Made of the characters that a component's name may have. */
  readonly name: string
  readonly piece: Piece
  /** Of its content: the same where only the order of members differs. */
  readonly hash: string
  /** Of a security scheme. */
  readonly scheme?: Json
}

export interface OutlinedOperation {
  readonly id?: string
  readonly tags: readonly string[]
  readonly security: readonly JsonObject[] | null
  /** The statuses that its responses are described for; empty where nothing is. */
  readonly statuses: readonly string[]
}

/** A path item or a component: its bytes in the document, and its slots. */
export interface Piece {
  readonly start: number
  readonly end: number
  readonly firstSlot: number
  readonly endSlot: number
}

/** What goes into a slot. */
export const slotKinds = {
  /** The name of a component. */
  component: 0,
  /** Id, tags and security of an operation. */
  operation: 1,
  /** What the guard of a route may answer. */
  responses: 2,
  /** The id of an operation within a callback. */
  declaredId: 3,
  /** The id of an operation that a link leads to. */
  linkedId: 4,
  /** The path of an operation that a link leads to. */
  pointer: 5,
} as const

/** Added to a slot's kind: a comma stands before it, or after it, which goes where nothing is filled in. */
export const commaBefore = 8
export const commaAfter = 16

export const writeOutline = (outline: Outline): Uint8Array => serialize(outline)
export const readOutline = (bytes: Uint8Array): Outline => deserialize(bytes) as Outline
