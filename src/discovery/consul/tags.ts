import { shown } from '../../config/fault.ts'
import { expectations } from '../../config/issues.ts'
import { didYouMean } from '../../config/suggest.ts'
import { type Description, descriptionSchema } from '../description.ts'

/** What one instance says of its routes. */
export interface SelfDescription {
  /** It said so in as many words, and legibly. */
  readonly enabled: boolean
  /** Undefined where anything it says is wrong: half of what it meant could open what it meant to close. */
  readonly description: Description | undefined
  /** One sentence each: what was written, what was expected. */
  readonly faults: readonly string[]
}

const tagPrefix = 'gateway.'
/** Consul's keys of Meta have no dots. */
const metaPrefix = 'gateway-'
const knownKeys = Object.keys(descriptionSchema.shape)

interface Saying {
  readonly key: string
  readonly value: string | undefined
  /** As an operator would look for it: `tag "gateway.auth=none"`. */
  readonly written: string
}

/**
 * Reads `gateway.<key>=<value>` tags, split at the first `=`, and `gateway-<key>` Meta for keys that no tag
 * mentions. Keys are case-insensitive; `path` may be given several times, everything else once.
 */
export function readTags(
  tags: readonly string[],
  meta: Readonly<Record<string, string>> = {},
): SelfDescription {
  const fromTags = tags.filter(isOurs).map(readTag)
  const mentioned = new Set(fromTags.map(({ key }) => key))
  const fromMeta = Object.entries(meta)
    .filter(([name]) => name.toLowerCase().startsWith(metaPrefix))
    .map(([name, value]) => ({
      key: name.slice(metaPrefix.length).toLowerCase(),
      value,
      written: `meta ${shown(`${name}=${value}`)}`,
    }))
    .filter(({ key }) => !mentioned.has(key))
  return readSayings([...fromTags, ...fromMeta])
}

/**
 * Whether the catalog's tags of a service are worth a closer look: it says `gateway.enable=true`, or something
 * of `enable` that is not a plain false and that somebody should be told of. Meta is not in the catalog, so
 * opting in takes a tag.
 */
export function mayOptIn(tags: readonly string[]): boolean {
  return tags
    .filter((tag) => /^gateway\.enable(?:=|$)/i.test(tag))
    .map(readTag)
    .some(({ value }) => descriptionSchema.safeParse({ enable: value }).data?.enable !== false)
}

function isOurs(tag: string): boolean {
  return tag.toLowerCase().startsWith(tagPrefix)
}

function readTag(tag: string): Saying {
  const equals = tag.indexOf('=')
  const key = tag.slice(tagPrefix.length, equals < 0 ? undefined : equals).toLowerCase()
  const value = equals < 0 ? undefined : tag.slice(equals + 1)
  return { key, value, written: `tag ${shown(tag)}` }
}

function readSayings(sayings: readonly Saying[]): SelfDescription {
  const faults: string[] = []
  const byKey = new Map<string, Saying[]>()
  for (const saying of sayings) {
    const { key, value, written } = saying
    if (!knownKeys.includes(key)) {
      faults.push(`${written}: expected one of ${knownKeys.join(', ')}${didYouMean(key, knownKeys)}`)
    } else if (value === undefined) {
      faults.push(`${written}: expected gateway.${key}=<value>`)
    } else {
      const same = byKey.get(key) ?? []
      if (same.some((other) => other.value === value)) continue
      if (key !== 'path' && same.length > 0) faults.push(`${written}: expected gateway.${key} once`)
      byKey.set(key, [...same, saying])
    }
  }
  const input = Object.fromEntries(
    [...byKey].map(([key, said]) => [key, key === 'path' ? said.map(({ value }) => value) : said[0]?.value]),
  )
  const result = descriptionSchema.safeParse(input)
  if (!result.success) {
    for (const { path, expected } of expectations(result.error)) {
      const said = byKey.get(String(path[0])) ?? []
      const saying = said[typeof path[1] === 'number' ? path[1] : 0]
      faults.push(`${saying?.written ?? String(path[0])}: expected ${expected}`)
    }
  }
  if (typeof descriptionSchema.safeParse({ port: input.port }).data?.port === 'string') {
    faults.push(
      `${byKey.get('port')?.[0]?.written}: expected a port number (Consul's services have no named ports)`,
    )
  }
  const enable = byKey.get('enable')
  const enabled =
    enable?.length === 1 && descriptionSchema.safeParse({ enable: enable[0]?.value }).data?.enable === true
  return { enabled, description: faults.length === 0 ? result.data : undefined, faults }
}
