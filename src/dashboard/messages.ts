import type { Points, Snapshot } from './snapshot.ts'

/** What a page has been told last, so that it is told what is new and nothing else. */
export interface Messages {
  /**
   * Takes a new snapshot in.
   * @param points those of the last few slots
   * @returns the data of a `change`: the parts and services that differ from the snapshot before, services that are
   *   gone, and points that may be new
   */
  change(snapshot: Snapshot, points: PointsUpTo, at: number): string
  /** The data of a `snapshot`: all of it, as it was last taken in, with these points. */
  all(points: PointsUpTo, at: number): string
}

interface PointsUpTo {
  /** The last slot that is over. */
  readonly newest: number
  readonly points: Points
}

/**
 * Writes messages as JSON. Each part and each service is written once for each snapshot, however many pages are open,
 * and is sent only where it is not what it was.
 */
export function createMessages(): Messages {
  let parts: ReadonlyMap<string, string> = new Map()
  let services: ReadonlyMap<string, string> = new Map()
  let newest = -1

  return {
    change({ services: next, ...rest }, points, at) {
      const [partsBefore, servicesBefore] = [parts, services]
      parts = new Map(Object.entries(rest).map(([name, part]) => [name, JSON.stringify(part)]))
      services = new Map([...next].map(([name, service]) => [name, JSON.stringify(service)]))
      const gone = [...servicesBefore.keys()].filter((name) => !services.has(name))
      const isNew = points.newest !== newest
      newest = points.newest
      return write(at, newest, {
        parts: differing(parts, partsBefore),
        services: differing(services, servicesBefore),
        points: isNew ? points.points : new Map(),
        gone,
      })
    },
    all: (points, at) =>
      write(at, points.newest, {
        parts: [...parts],
        services: [...services],
        points: points.points,
        gone: [],
      }),
  }
}

type Written = readonly (readonly [name: string, json: string])[]

interface Content {
  readonly parts: Written
  readonly services: Written
  readonly points: Points
  readonly gone: readonly string[]
}

function write(at: number, newest: number, { parts, services, points, gone }: Content): string {
  const written = [...points]
    .filter(([, own]) => own.length > 0)
    .map(([name, own]) => [name, JSON.stringify(own)] as const)
  return members([
    ['at', String(at)],
    ['newest', String(newest)],
    ...(gone.length > 0 ? [['gone', JSON.stringify(gone)] as const] : []),
    ...parts,
    ...(services.length > 0 ? [['services', members(services)] as const] : []),
    ...(written.length > 0 ? [['points', members(written)] as const] : []),
  ])
}

const differing = (now: ReadonlyMap<string, string>, before: ReadonlyMap<string, string>): Written =>
  [...now].filter(([name, json]) => before.get(name) !== json)

const members = (written: Written) =>
  `{${written.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`
