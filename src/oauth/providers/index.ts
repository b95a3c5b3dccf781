import type { ProviderKind } from '../provider.ts'

/** Every kind of provider; a new one is a file and a line. */
export const providerKinds: readonly ProviderKind[] = []
