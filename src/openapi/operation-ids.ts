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
  const declared = new Map(shares.map((share) => [share, idsOf(share)]))
  const users = new Map<string, number>()
  for (const id of shares.flatMap((share) => [...declared.get(share)!]))
    users.set(id, (users.get(id) ?? 0) + 1)
  const clashes = (id: string) => users.get(id)! > 1 || given.has(id)
  const taken = new Set([...given, ...users.keys()])
  const firstIds = new Map(shares.map((share) => [share, new Map<string, string>()]))
  for (const share of shares) {
    for (const id of declared.get(share)!) {
      firstIds.get(share)!.set(id, clashes(id) ? free(`${share.service}.${id}`) : id)
    }
  }

  function free(wanted: string): string {
    let id = wanted
    for (let n = 2; taken.has(id); n += 1) id = `${wanted}_${n}`
    taken.add(id)
    return id
  }

  /** One that is not public has an id that nobody else has, so that a link to it leads nowhere rather than astray. */
  function firstId(share: Share, id: string): string {
    const ids = firstIds.get(share)!
    const known = ids.get(id) ?? free(`${share.service}.${id}`)
    ids.set(id, known)
    return known
  }

  return {
    give(share, id) {
      const first = firstId(share, id)
      const next = given.has(first) ? free(first) : first
      given.add(next)
      return next
    },
    linked: firstId,
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
