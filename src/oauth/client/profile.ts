import type { ProviderProfile } from '../provider.ts'

/** Members of a profile as a provider has them: of any type, or missing. */
export interface RawProfile {
  readonly id: unknown
  readonly name?: unknown
  readonly email?: unknown
  readonly emailVerified?: boolean
  readonly picture?: unknown
}

/**
 * Takes what can be used. A number for an id is its digits: providers' ids are below 2^53.
 * @returns undefined where there is no id
 */
export function toProfile({
  id,
  name,
  email,
  emailVerified,
  picture,
}: RawProfile): ProviderProfile | undefined {
  const digits = typeof id === 'number' && Number.isSafeInteger(id) ? String(id) : id
  const ownId = words(digits, 255)
  if (ownId === undefined || ownId !== digits) return undefined
  const ownName = words(name, 255)
  const address = words(email, 320)
  const ownEmail = address !== undefined && /^[^\s@]+@[^\s@]+$/.test(address) ? address : undefined
  const ownPicture = words(picture, 2048)
  return {
    id: ownId,
    ...(ownName !== undefined && { name: ownName }),
    ...(ownEmail !== undefined && { email: ownEmail }),
    emailVerified: ownEmail !== undefined && emailVerified === true,
    ...(ownPicture !== undefined && /^https?:\/\//.test(ownPicture) && { picture: ownPicture }),
  }
}

/** Text that a database and a page can hold. */
function words(value: unknown, longest: number): string | undefined {
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (text === '' || text.length > longest || /[\x00-\x1f\x7f]/.test(text) || !text.isWellFormed())
    return undefined
  return text
}
