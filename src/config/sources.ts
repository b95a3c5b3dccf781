import type { DiscoverySource, Environment } from '../discovery/source.ts'
import type { ConfiguredSource } from './config.ts'
import { variableFault } from './environment.ts'
import { type Fault, type Place, shown } from './fault.ts'
import { deepFreeze } from './freeze.ts'
import { expectations } from './issues.ts'
import { didYouMean } from './suggest.ts'

/** The discovery sources there are, by their names in `DISCOVERY`. */
export type DiscoverySources = Readonly<Record<string, DiscoverySource>>

export interface SourcesInput {
  /** The names in DISCOVERY, in order. */
  readonly names: readonly string[]
  readonly sources: DiscoverySources
  readonly environment: Environment
  readonly urls: ReadonlyMap<string, readonly string[]>
  /** Where a service's URLs are written. */
  urlOrigin(service: string): { readonly place: Place; readonly found: string } | undefined
}

/** Has each source of DISCOVERY read its own settings; faults are added to `faults`. */
export function readSources(input: SourcesInput, faults: Fault[]): readonly ConfiguredSource[] {
  const { names, sources, environment, urls } = input
  const configured: ConfiguredSource[] = []
  const valid = Object.keys(sources)
  for (const [index, name] of names.entries()) {
    const place = { variable: 'DISCOVERY' }
    if (!Object.hasOwn(sources, name)) {
      const found = name === '' ? 'an empty item' : `${shown(name)}${didYouMean(name, valid)}`
      faults.push({ place, found, expected: `names among ${valid.join(', ')}` })
      continue
    }
    if (names.indexOf(name) < index) {
      const expected = `each name once, among ${valid.join(', ')}`
      faults.push({ place, found: `${shown(name)} twice`, expected })
      continue
    }
    const source = sources[name]!
    const result = source.settings.safeParse({ environment, urls })
    if (result.success) configured.push(Object.freeze({ source, options: deepFreeze(result.data) }))
    else faults.push(...expectations(result.error).map((issue) => sourceFault(input, name, issue)))
  }
  return configured
}

type Expectation = ReturnType<typeof expectations>[number]

function sourceFault({ environment, urlOrigin }: SourcesInput, source: string, issue: Expectation): Fault {
  const [kind, name] = issue.path.map(String)
  if (kind === 'environment' && name !== undefined) {
    return variableFault(name, environment[name], issue.expected)
  }
  const origin = kind === 'urls' && name !== undefined ? urlOrigin(name) : undefined
  if (origin !== undefined) return { ...origin, expected: issue.expected }
  const place = { variable: 'DISCOVERY' }
  return { place, found: `${shown(source)} without the settings it needs`, expected: issue.expected }
}
