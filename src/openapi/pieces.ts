import { createHash, randomBytes } from 'node:crypto'
import { isObject, type Json } from './json.ts'
import { commaAfter, commaBefore, type Piece, slotKinds } from './outline.ts'

type SlotKind = keyof typeof slotKinds

export interface PieceWriter {
  /** Text that stands for a slot: alone or within a string, or as the name of a member of an object. */
  slot(kind: SlotKind, index: number): string
  /** Writes a part of the document. */
  write(value: Json): Piece
  /** A hash of what it says, whatever the order of members; `nameOf` tells what a component's slot names. */
  hash(value: Json, nameOf: (index: number) => string): string
  end(): { readonly document: Uint8Array; readonly slots: Uint32Array }
}

const letters = {
  component: 'c',
  operation: 'o',
  responses: 'r',
  declaredId: 'd',
  linkedId: 'l',
  pointer: 'p',
}
const kindOf = new Map(Object.entries(letters).map(([kind, letter]) => [letter, kind as SlotKind]))

/**
 * Writes parts of a document as JSON with slots cut out of them. A slot is found again by text that nobody can guess,
 * so that no document can write one itself.
 */
export function createPieceWriter(): PieceWriter {
  const secret = `slot${randomBytes(12).toString('hex')}`
  const whole = new RegExp(`(,?)"${secret}([or])(\\d+)\\.":0(,?)|${secret}([cdlp])(\\d+)\\.`, 'g')
  const names = new RegExp(`${secret}c(\\d+)\\.`, 'g')
  const chunks: Buffer[] = []
  const slots: number[] = []
  let length = 0

  function write(value: Json): Piece {
    const json = JSON.stringify(value)
    const start = length
    const firstSlot = slots.length / 3
    const parts: string[] = []
    let last = 0
    for (const found of json.matchAll(whole)) {
      const part = json.slice(last, found.index)
      parts.push(part)
      length += Buffer.byteLength(part)
      const [text, before, member, memberIndex, after, plain, plainIndex] = found
      const kind = kindOf.get(member ?? plain!)!
      const commas = (before ? commaBefore : 0) + (after ? commaAfter : 0)
      slots.push(length, slotKinds[kind] + commas, Number(memberIndex ?? plainIndex))
      last = found.index + text.length
    }
    const rest = json.slice(last)
    length += Buffer.byteLength(rest)
    chunks.push(Buffer.from(parts.length === 0 ? rest : parts.join('') + rest))
    return { start, end: length, firstSlot, endSlot: slots.length / 3 }
  }

  return {
    slot: (kind, index) => `${secret}${letters[kind]}${index}.`,
    write,
    hash: (value, nameOf) =>
      hashOf(value, (text) => text.replace(names, (_, index: string) => nameOf(Number(index)))),
    end: () => ({ document: Buffer.concat(chunks), slots: Uint32Array.from(slots) }),
  }
}

/** A hash of a JSON value, the same whatever the order of members. */
export function hashOf(value: Json, textOf: (text: string) => string = (text) => text): string {
  return createHash('sha256')
    .update(textOf(JSON.stringify(sorted(value))))
    .digest('base64url')
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key]!)]),
  )
}
