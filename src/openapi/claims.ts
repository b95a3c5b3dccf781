import type { Outline } from './outline.ts'
import type { FindPublicPaths, PublishedRoute } from './public-paths.ts'
import type { ClaimedPath } from './share.ts'

export interface Claims {
  readonly paths: readonly ClaimedPath[]
  /** Its public paths that another has taken. */
  readonly lost: readonly string[]
}

/**
 * The public paths of every service. Paths that differ in nothing but the names of their parameters are the same path
 * (OpenAPI 3.1, Paths Object): of two services the one with the longer prefix has it, of equally long ones the first;
 * the gateway before all. Where one service's document has such paths they stand as it has them: documents that spread
 * the methods of a path over two of them are in use.
 */
export function claimPaths(
  ownPaths: readonly string[],
  services: readonly { readonly name: string; readonly outline: Outline }[],
  publicPaths: FindPublicPaths,
): ReadonlyMap<string, Claims> {
  const own = new Set(ownPaths.map(withoutNames))
  const holders = new Map<string, PublishedRoute>()
  const all = new Map<string, ClaimedPath[]>()
  for (const { name, outline } of services) {
    const { base } = outline
    const paths = outline.paths.flatMap(({ path, piece }) => {
      const housePath = path === '/' && base !== '' ? base : `${base}${path}`
      return publicPaths(name, housePath).map((found): ClaimedPath => ({ ...found, own: path, piece }))
    })
    all.set(name, paths)
    for (const claim of paths) {
      const key = withoutNames(claim.path)
      const holder = holders.get(key)
      if (holder === undefined || holder.prefix.length < claim.route.prefix.length)
        holders.set(key, claim.route)
    }
  }
  const holds = (claim: ClaimedPath) => {
    const key = withoutNames(claim.path)
    return !own.has(key) && holders.get(key)?.service === claim.route.service
  }
  return new Map(
    [...all].map(([name, paths]) => [
      name,
      {
        paths: paths.filter(holds),
        lost: paths.filter((claim) => !holds(claim)).map(({ path }) => path),
      },
    ]),
  )
}

const withoutNames = (path: string) => path.replace(/\{[^{}]*\}/g, '{}')
