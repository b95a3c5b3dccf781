import { shown } from '../../config/fault.ts'
import { expectations } from '../../config/issues.ts'
import { didYouMean } from '../../config/suggest.ts'
import { type Description, descriptionSchema } from '../description.ts'

/** What a Service's annotations say of its routes. */
export interface Annotated {
  /** False where it says so in as many words; a word that is neither is a fault, and no reason to leave. */
  readonly enabled: boolean
  /** Undefined where anything it says is wrong: half of what it meant could open what it meant to close. */
  readonly description: Description | undefined
  /** One sentence each: what was written, what was expected. */
  readonly faults: readonly string[]
}

const knownKeys = Object.keys(descriptionSchema.shape)

/**
 * Reads annotations of our prefix. Several paths are separated by line breaks, or by commas in front of a `/`:
 * a comma alone may be part of a path or stand between the scopes of one.
 *
 * @param annotations without the prefix, which is for the faults only.
 */
export function readAnnotations(annotations: Readonly<Record<string, string>>, prefix: string): Annotated {
  const faults: string[] = []
  const input: Record<string, string | string[]> = {}
  const written = (key: string) => `annotation ${shown(`${prefix}${key}: ${annotations[key]}`)}`
  for (const [key, value] of Object.entries(annotations)) {
    if (!knownKeys.includes(key)) {
      faults.push(`${written(key)}: expected one of ${knownKeys.join(', ')}${didYouMean(key, knownKeys)}`)
    } else {
      input[key] = key === 'path' ? splitPaths(value) : value.trim()
    }
  }
  const result = descriptionSchema.safeParse(input)
  if (!result.success) {
    for (const { path, expected } of expectations(result.error)) {
      faults.push(`${written(String(path[0]))}: expected ${expected}`)
    }
  }
  const said = descriptionSchema.safeParse({ enable: input.enable })
  return {
    enabled: !said.success || said.data.enable === true,
    description: faults.length === 0 && result.success ? result.data : undefined,
    faults,
  }
}

function splitPaths(text: string): string[] {
  return text
    .split(/\n|,(?=\s*\/)/)
    .map((path) => path.trim())
    .filter((path) => path !== '')
}
