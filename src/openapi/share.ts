import type { Json, JsonObject } from './json.ts'
import { type Outline, type Piece, slotKinds } from './outline.ts'
import type { PublishedRoute } from './public-paths.ts'
import { bearerSchemeName, guardedSecurity, isGatewayBearer, withLogin } from './security.ts'

/** What of one service's document is public. */
export interface Share {
  readonly service: string
  readonly outline: Outline
  readonly document: Uint8Array
  readonly paths: readonly SharedPath[]
  /** By component: whether a public path uses it, directly or through others. */
  readonly used: Uint8Array
}

/** A path item of a service at a path that leads to it. */
export interface ClaimedPath {
  readonly path: string
  readonly route: PublishedRoute
  /** As the service's document has it. */
  readonly own: string
  readonly piece: Piece
}

export interface SharedPath extends ClaimedPath {
  /** What each operation demands, by its number in the outline; see `schemeOf`. */
  readonly security: ReadonlyMap<number, Json>
}

/** In `SharedPath.security` a scheme of the service stands under this and its name; the gateway's own without. */
const ofService = '='

/**
 * What of a service's document is public, and what a caller must bring there.
 * @param logins whether the gateway's document has a login: see `withLogin`
 */
export function shareOf(
  service: string,
  outline: Outline,
  document: Uint8Array,
  claimed: readonly ClaimedPath[],
  logins: boolean,
): Share {
  const { components, operations } = outline
  const schemes = new Map(
    components.flatMap(({ section, name, scheme }, index) =>
      section === 'securitySchemes' && scheme !== undefined ? [[name, { index, scheme }] as const] : [],
    ),
  )
  const names = new Map(
    [...schemes].map(([name, { scheme }]) => [
      name,
      isGatewayBearer(scheme) ? bearerSchemeName : `${ofService}${name}`,
    ]),
  )
  const byName = Object.fromEntries([...schemes].map(([name, { scheme }]) => [names.get(name)!, scheme]))
  const used = new Uint8Array(components.length)
  const queue: Piece[] = []

  const paths = claimed.map((claim): SharedPath => {
    const security = new Map<number, Json>()
    eachSlot(outline, claim.piece, (kind, index) => {
      if (kind !== slotKinds.operation) return
      const said = operations[index]!.security ?? outline.security
      const demanded = said?.map((requirement) => renamed(requirement, names)) ?? null
      const required = guardedSecurity(claim.route, demanded, byName)
      const guarded = logins ? withLogin(required) : required
      security.set(index, guarded)
      for (const requirement of (guarded ?? []) as JsonObject[]) {
        for (const name of Object.keys(requirement)) useScheme(name)
      }
    })
    queue.push(claim.piece)
    return { ...claim, security }
  })
  for (let piece = queue.pop(); piece !== undefined; piece = queue.pop()) {
    eachSlot(outline, piece, (kind, index) => {
      if (kind === slotKinds.component) use(index)
    })
  }

  function useScheme(name: string): void {
    const scheme = name.startsWith(ofService) ? schemes.get(name.slice(ofService.length)) : undefined
    if (scheme !== undefined) use(scheme.index)
  }

  function use(index: number): void {
    if (used[index] === 1) return
    used[index] = 1
    queue.push(components[index]!.piece)
  }

  return { service, outline, document, paths, used }
}

/** Whether a name in `SharedPath.security` is the service's, and which; undefined where it is the gateway's. */
export const schemeOf = (name: string): string | undefined =>
  name.startsWith(ofService) ? name.slice(ofService.length) : undefined

/** Calls back with the kind of each slot of a piece, without commas, and with what it names. */
export function eachSlot(
  { slots }: Outline,
  piece: Piece,
  tell: (kind: number, index: number) => void,
): void {
  for (let slot = piece.firstSlot; slot < piece.endSlot; slot += 1) {
    tell(slots[slot * 3 + 1]! & 7, slots[slot * 3 + 2]!)
  }
}

const renamed = (requirement: JsonObject, names: ReadonlyMap<string, string>): JsonObject =>
  Object.fromEntries(Object.entries(requirement).map(([name, scopes]) => [names.get(name) ?? name, scopes]))
