import { isObject, type Json, type JsonObject } from './json.ts'
import { slotKinds } from './outline.ts'
import { eachSlot, type Share, type SharedPath } from './share.ts'

export interface OperationIds {
  /** The id of an operation at one of the public paths, or declared in one of its callbacks; each is given once. */
  give(share: Share, id: string): string
  /** The id that an operation was given first; for links to it. */
  linked(share: Share, id: string): string
}

/**
 * Ids of operations, unique in the merged document: their own, unless the gateway or another service has an operation
 * of the same id; then `service.id`. An operation at several public paths is told apart by a number.
 */
export function createOperationIds(own: JsonObject, shares: readonly Share[]): OperationIds {
  const given = new Set(ownIds(own))
  const services = new Map<string, Set<Share>>()
  for (const share of shares) {
    for (const id of idsOf(share)) {
      const known = services.get(id)
      if (known === undefined) services.set(id, new Set([share]))
      else known.add(share)
    }
  }
  const clashing = new Set(
    [...services].filter(([id, all]) => all.size > 1 || given.has(id)).map(([id]) => id),
  )
  const firstName = (share: Share, id: string) =>
    clashing.has(id) || !services.get(id)?.has(share) ? `${share.service}.${id}` : id
  /** What others are called by themselves is not given to the second of something. */
  const reserved = new Set(
    [...services].flatMap(([id, all]) => [...all].map((share) => firstName(share, id))),
  )

  return {
    give(share, id) {
      const wanted = firstName(share, id)
      let free = wanted
      for (let n = 2; given.has(free) || (n > 2 && reserved.has(free)); n += 1) free = `${wanted}_${n}`
      given.add(free)
      return free
    },
    linked: firstName,
  }
}

function ownIds({ paths }: JsonObject): string[] {
  return Object.values(isObject(paths) ? paths : {})
    .flatMap((item) => (isObject(item) ? Object.values(item) : []))
    .flatMap((operation: Json) =>
      isObject(operation) && typeof operation.operationId === 'string' ? [operation.operationId] : [],
    )
}

/** Every id that is declared in what is public. */
function idsOf({ outline, paths, used }: Share): Set<string> {
  const ids = new Set<string>()
  const pieces = [
    ...paths.map(({ piece }: SharedPath) => piece),
    ...outline.components.filter((_, index) => used[index] === 1).map(({ piece }) => piece),
  ]
  for (const piece of pieces) {
    eachSlot(outline, piece, (kind, index) => {
      const id = kind === slotKinds.operation ? outline.operations[index]!.id : outline.ids[index]
      if (kind !== slotKinds.operation && kind !== slotKinds.declaredId) return
      if (id !== undefined) ids.add(id)
    })
  }
  return ids
}
