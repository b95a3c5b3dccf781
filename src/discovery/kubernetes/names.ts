export interface Named {
  readonly namespace: string
  readonly name: string
  /** RFC 3339. */
  readonly createdAt: string
}

/**
 * Published names: a Service's own name, or `name.namespace` for all but one of those that share it. The name is
 * the one's in the namespace that was listed first, or else in the gateway's own, or else the oldest's: a
 * newcomer in some namespace never takes another's place.
 *
 * @param listed the namespaces in the order they were asked for; undefined for all of them.
 * @param taken names that belong to Services of namespaces that cannot be seen now
 */
export function publishedNames<T extends Named>(
  services: Iterable<T>,
  listed: readonly string[] | undefined,
  home: string,
  taken: ReadonlySet<string> = new Set(),
): Map<T, string> {
  const order = listed ?? [home]
  const rank = ({ namespace }: T) => {
    const index = order.indexOf(namespace)
    return index === -1 ? order.length : index
  }
  const holders = new Map<string, T>()
  const all = [...services]
  for (const service of all) {
    const holder = holders.get(service.name)
    if (holder === undefined || isBefore(service, holder, rank)) holders.set(service.name, service)
  }
  return new Map(
    all.map((service) => {
      const { name, namespace } = service
      return [service, holders.get(name) === service && !taken.has(name) ? name : `${name}.${namespace}`]
    }),
  )
}

function isBefore<T extends Named>(one: T, other: T, rank: (service: T) => number): boolean {
  if (rank(one) !== rank(other)) return rank(one) < rank(other)
  if (one.createdAt !== other.createdAt) return one.createdAt < other.createdAt
  return one.namespace < other.namespace
}
