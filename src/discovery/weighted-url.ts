/** An instance's URL and how much it takes beside the others. */
export interface WeightedUrl {
  readonly url: string
  readonly weight: number
}

/** As much as Consul and SRV records can say. */
export const mostWeight = 65_535

/**
 * Takes `http://auth:8001; weight=3` apart. What stands before the semicolon is given as it is.
 *
 * @returns undefined where what follows is no weight; a weight of 1 where nothing follows
 */
export function splitWeight(text: string): WeightedUrl | undefined {
  const semicolon = text.indexOf(';')
  if (semicolon < 0) return { url: text, weight: 1 }
  const [, digits] = /^\s*weight\s*=\s*(\d{1,5})\s*$/.exec(text.slice(semicolon + 1)) ?? []
  const weight = Number(digits)
  return digits === undefined || weight > mostWeight
    ? undefined
    : { url: text.slice(0, semicolon).trimEnd(), weight }
}

/** The one spelling of it; a weight of 1 goes without saying. */
export function joinWeight({ url, weight }: WeightedUrl): string {
  return weight === 1 ? url : `${url}; weight=${weight}`
}

/** As an instance has it: absent where it is 1. */
export function instanceWeight(weight: number): { readonly weight?: number } {
  return weight === 1 ? {} : { weight }
}
