/** Where a fault is: an environment variable, or a spot in a file and the path of keys that leads to it. */
export type Place = { readonly variable: string } | FilePlace

export interface FilePlace {
  readonly file: string
  /** Both counted from 1. */
  readonly line: number
  readonly column: number
  /** `services.auth.path[0]`; empty where the file could not be read that far. */
  readonly key: string
}

/** One thing that is wrong with the configuration. Reads as "place: found …, expected …". */
export interface Fault {
  readonly place: Place
  /** Never the value of a secret. */
  readonly found: string
  readonly expected: string
}

/** A variable that production does not do without. */
export const missingInProduction = (variable: string, expected: string): Fault => ({
  place: { variable },
  found: 'nothing in production',
  expected,
})

/** The configuration cannot be used; says everything that is wrong with it at once. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly faults: readonly Fault[]

  constructor(faults: readonly Fault[]) {
    super(
      [
        `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:`,
        ...faults.map((fault) => `  ${formatFault(fault)}`),
      ].join('\n'),
    )
    this.faults = faults
  }
}

/** `gateway.yaml:3:5 services.auth.path: found …, expected …` */
export function formatFault({ place, found, expected }: Fault): string {
  return `${formatPlace(place)}: found ${found}, expected ${expected}`
}

function formatPlace(place: Place): string {
  if ('variable' in place) return place.variable
  const { file, line, column, key } = place
  return `${file}:${line}:${column}${key && ` ${key}`}`
}

const longestShown = 80

/**
 * A value as it may be printed: quoted, on one line, not too long, and without what a URL may hide in its
 * user information or query.
 */
export function shown(value: string): string {
  const harmless = /[@?]/.test(value) ? withoutSecrets(value) : value
  return JSON.stringify(harmless.length > longestShown ? `${harmless.slice(0, longestShown)}…` : harmless)
}

function withoutSecrets(text: string): string {
  return text.replace(/\S+@/g, hideUserInformation).replace(/(:\/\/[^\s,?]*)\?[^\s,]*/g, '$1?…')
}

function hideUserInformation(text: string): string {
  const scheme = text.indexOf('://')
  return scheme === -1 ? '…@' : `${text.slice(0, scheme)}://…@`
}
