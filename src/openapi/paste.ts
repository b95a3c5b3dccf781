import type { Json, JsonObject } from './json.ts'
import type { ComponentName } from './names.ts'
import type { OperationIds } from './operation-ids.ts'
import { commaAfter, commaBefore, type Piece, slotKinds } from './outline.ts'
import { escapeToken } from './references.ts'
import { guardRefusals } from './security.ts'
import { type Share, type SharedPath, schemeOf } from './share.ts'

/** Bytes that grow at their end. */
export interface Sink {
  text(text: string): void
  bytes(from: Uint8Array, start: number, end: number): void
  /** All of them, in memory of their very size; the sink is done with. */
  end(): Uint8Array<ArrayBuffer>
}

/** @param expected how many bytes there will be, more or less */
export function createSink(expected: number): Sink {
  const encoder = new TextEncoder()
  let memory = new ArrayBuffer(Math.max(expected, 1024))
  let bytes = new Uint8Array(memory)
  let length = 0

  function need(more: number): void {
    if (length + more > bytes.length) resize(Math.ceil((length + more) * 1.25))
  }

  /** Without a copy of what is there, wherever the system can. */
  function resize(size: number): void {
    memory = memory.transfer(size)
    bytes = new Uint8Array(memory)
  }

  return {
    text(text) {
      need(text.length * 3)
      length += encoder.encodeInto(text, bytes.subarray(length)).written
    },
    bytes(from, start, end) {
      need(end - start)
      bytes.set(from.subarray(start, end), length)
      length += end - start
    },
    end() {
      resize(length)
      return bytes
    },
  }
}

export interface PasteOptions {
  readonly sink: Sink
  readonly names: readonly ComponentName[]
  readonly ids: OperationIds
  /** Whether operations keep the tags that their document gives them, rather than be tagged with the service. */
  readonly keepTags: boolean
}

/** Writes pieces of one service's document, with their slots filled in. */
export function createPaster(share: Share, { sink, names, ids, keepTags }: PasteOptions) {
  const { outline, document, service, paths } = share
  const { slots, operations } = outline
  const publicPath = new Map(paths.map(({ own, path }) => [own, path]))

  /** @param at the public path that a path item stands at */
  function paste(piece: Piece, at?: SharedPath): void {
    let position = piece.start
    for (let slot = piece.firstSlot; slot < piece.endSlot; slot += 1) {
      const [offset, kind, index] = [slots[slot * 3]!, slots[slot * 3 + 1]!, slots[slot * 3 + 2]!]
      if (offset > position) sink.bytes(document, position, offset)
      position = offset
      const text = filling(kind & 7, index, at)
      const before = (kind & commaBefore) !== 0
      const after = (kind & commaAfter) !== 0
      if (text === '') {
        if (before && after) sink.text(',')
      } else sink.text(`${before ? ',' : ''}${text}${after ? ',' : ''}`)
    }
    if (piece.end > position) sink.bytes(document, position, piece.end)
  }

  function filling(kind: number, index: number, at: SharedPath | undefined): string {
    switch (kind) {
      case slotKinds.component:
        return names[index]!.name
      case slotKinds.operation:
        return at === undefined ? '' : membersOf(head(index, at))
      case slotKinds.responses:
        return at === undefined ? '' : membersOf(guardRefusals(at.route, operations[index]!.statuses))
      case slotKinds.declaredId:
        return inString(ids.give(share, outline.ids[index]!))
      case slotKinds.linkedId:
        return inString(ids.linked(share, outline.ids[index]!))
      default:
        return pointer(index)
    }
  }

  /** What the merged document says of an operation in its service's stead. */
  function head(index: number, { route, security }: SharedPath): JsonObject {
    const { id, tags, statuses } = operations[index]!
    const demanded = security.get(index) ?? null
    const refusals = statuses.length === 0 ? guardRefusals(route, []) : {}
    return {
      ...(!keepTags && { tags: [service] }),
      ...(keepTags && tags.length > 0 && { tags }),
      ...(id !== undefined && { operationId: ids.give(share, id) }),
      ...(demanded !== null && { security: renamedSchemes(demanded) }),
      ...(Object.keys(refusals).length > 0 && { responses: refusals }),
    }
  }

  function renamedSchemes(security: Json): Json {
    return (security as JsonObject[]).map((requirement) =>
      Object.fromEntries(Object.entries(requirement).map(([name, scopes]) => [finalName(name), scopes])),
    )
  }

  function finalName(name: string): string {
    const scheme = schemeOf(name)
    if (scheme === undefined) return name
    const index = schemeIndex.get(scheme)
    return index === undefined ? scheme : names[index]!.name
  }

  const schemeIndex = new Map(
    outline.components.flatMap(({ section, name }, index) =>
      section === 'securitySchemes' ? [[name, index] as const] : [],
    ),
  )

  function pointer(index: number): string {
    const { path, tail } = outline.pointers[index]!
    const shown = publicPath.get(path)
    // Its own path may be another service's there.
    return shown === undefined ? '#/paths/not-public' : inString(`#/paths/${escapeToken(shown)}${tail}`)
  }

  return paste
}

/** The members of an object as they stand between its braces. */
const membersOf = (object: JsonObject) => JSON.stringify(object).slice(1, -1)
/** Text as it stands between its quotation marks. */
const inString = (text: string) => JSON.stringify(text).slice(1, -1)
