import type { ProviderKind } from '../provider.ts'
import * as named from './named.ts'
import { oidc } from './oidc.ts'

const kinds: readonly ProviderKind[] = Object.values(named)

/** Every kind of provider there is. */
export const providerKinds: readonly ProviderKind[] = [...kinds, oidc(kinds.map(({ name }) => name))]
