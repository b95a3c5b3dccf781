import { isObject, type JsonObject } from './json.ts'
import { slotKinds } from './outline.ts'
import { hashOf } from './pieces.ts'
import { bearerSchemeName, isGatewayBearer } from './security.ts'
import { eachSlot, type Share } from './share.ts'

/** Under which name a component of a service stands in the merged document. */
export interface ComponentName {
  readonly name: string
  /** Whether it is this service's to write: what several share stands there once. */
  readonly written: boolean
}

interface User {
  readonly share: Share
  readonly index: number
  readonly hash: string
}

/**
 * Finds the names of all components that are used: their own, unless another service or the gateway has one of that
 * name that differs, in itself or in what it refers to. Then each service's stands under `service.Name`; the
 * gateway's keeps its name. The order of the services makes no difference.
 *
 * @returns for each share, by the number of a component in its outline
 */
export function nameComponents(
  own: JsonObject,
  shares: readonly Share[],
): ReadonlyMap<Share, readonly ComponentName[]> {
  const ownHashes = hashesOf(own)
  const users = new Map<string, User[]>()
  for (const share of shares) {
    for (const [index, { section, name, hash }] of share.outline.components.entries()) {
      if (share.used[index] === 0 || isOwnBearer(share, index)) continue
      const key = `${section}/${name}`
      const known = users.get(key)
      if (known === undefined) users.set(key, [{ share, index, hash }])
      else known.push({ share, index, hash })
    }
  }
  const clashing = findClashes(users, ownHashes)
  const taken = new Set([...ownHashes.keys(), ...[...users.keys()].filter((key) => !clashing.has(key))])
  const named = new Map(shares.map((share) => [share, [] as ComponentName[]]))
  for (const share of shares) {
    for (const [index, { section, name }] of share.outline.components.entries()) {
      if (isOwnBearer(share, index)) named.get(share)![index] = { name: bearerSchemeName, written: false }
      if (!clashing.has(`${section}/${name}`) || share.used[index] === 0) continue
      const wanted = `${share.service}.${name}`.replace(/[^\w.-]/g, '_')
      let free = wanted
      for (let n = 2; taken.has(`${section}/${free}`); n += 1) free = `${wanted}_${n}`
      taken.add(`${section}/${free}`)
      named.get(share)![index] = { name: free, written: true }
    }
  }
  for (const [key, all] of users) {
    if (clashing.has(key)) continue
    for (const [place, { share, index }] of all.entries()) {
      const { name } = share.outline.components[index]!
      named.get(share)![index] = { name, written: place === 0 && !ownHashes.has(key) }
    }
  }
  return named
}

function findClashes(
  users: ReadonlyMap<string, readonly User[]>,
  own: ReadonlyMap<string, string>,
): ReadonlySet<string> {
  const isShared = (key: string) => own.has(key) || (users.get(key)?.length ?? 0) > 1
  const clashing = new Set<string>()
  for (const [key, all] of users) {
    const hashes = new Set(all.map(({ hash }) => hash))
    if (own.has(key)) hashes.add(own.get(key)!)
    if (hashes.size > 1) clashing.add(key)
  }
  if (clashing.size === 0) return clashing
  const referrers = new Map<string, Set<string>>()
  for (const [key, all] of users) {
    if (!isShared(key)) continue
    for (const { share, index } of all) {
      const { components } = share.outline
      eachSlot(share.outline, components[index]!.piece, (kind, target) => {
        if (kind !== slotKinds.component) return
        const { section, name } = components[target]!
        const place = `${section}/${name}`
        const known = referrers.get(place)
        if (known === undefined) referrers.set(place, new Set([key]))
        else known.add(key)
      })
    }
  }
  // What refers to something that differs differs too; a set may grow while it is walked.
  for (const key of clashing) for (const referrer of referrers.get(key) ?? []) clashing.add(referrer)
  return clashing
}

/** A bearer scheme that is what the gateway's is stands for the gateway's. */
function isOwnBearer({ outline }: Share, index: number): boolean {
  const { section, scheme } = outline.components[index]!
  return section === 'securitySchemes' && isGatewayBearer(scheme)
}

function hashesOf({ components }: JsonObject): Map<string, string> {
  return new Map(
    Object.entries(isObject(components) ? components : {}).flatMap(([section, members]) =>
      Object.entries(members as JsonObject).map(
        ([name, member]) => [`${section}/${name}`, hashOf(member)] as const,
      ),
    ),
  )
}
