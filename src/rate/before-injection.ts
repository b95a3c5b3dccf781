import type { Guard } from '../tokens/guard.ts'

type Guarded = Parameters<Guard>[0]

interface LimitedRoute extends Guarded {
  readonly rate?: unknown
}

/**
 * Whether a request is to be judged twice: what a route injects may have to be fetched from a provider, and is not for
 * somebody whom its limit then refuses. So he is identified, counted, and judged again with what is injected.
 */
export const injectsLater = ({ rate, inject }: LimitedRoute): boolean =>
  rate !== undefined && inject !== undefined

/** The route for the first of the two. */
export const withoutInjection = ({ auth, scopes, service }: LimitedRoute): Guarded => ({
  auth,
  scopes,
  service,
})
