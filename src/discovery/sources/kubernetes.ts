import { openAccess } from '../kubernetes/access.ts'
import { followNamespaces, type KubernetesTiming } from '../kubernetes/follow-namespaces.ts'
import {
  createKubernetesSettings,
  type KubernetesOptions,
  kubernetesVariables,
} from '../kubernetes/settings.ts'
import type { DiscoverySource } from '../source.ts'

/** client-go's figures, but for the longest back-off (its 30 s): a new pod is to be used within 10 s. */
const defaults: KubernetesTiming = {
  headMs: 15_000,
  bodyMs: 60_000,
  watchSeconds: { least: 300, most: 600 },
  silenceMs: 150_000,
  backoff: { firstMs: 800, mostMs: 8000 },
  steadyMs: 10_000,
  settleMs: 100,
}

/**
 * Services that carry the annotation `gateway.jinmini.com/enable: "true"`, at the ready endpoints of their
 * EndpointSlices, by list and watch.
 *
 * `watch` rejects when no namespace can be followed. One of several that cannot keeps what was last known of it
 * and is tried again with a back-off of its own; the others are not concerned.
 *
 * @param folder where Kubernetes puts a pod's service account.
 */
export function createKubernetesSource(
  timing: Partial<KubernetesTiming> = {},
  folder?: string,
): DiscoverySource<KubernetesOptions> {
  return {
    name: 'kubernetes',
    variables: kubernetesVariables,
    settings: createKubernetesSettings(folder),
    async watch(options, publish, context) {
      if (context.signal.aborted) return
      const ended = new AbortController()
      const signal = AbortSignal.any([context.signal, ended.signal])
      const access = await openAccess(options.access)
      const times = { ...defaults, ...timing }
      const follower = followNamespaces(options, access, publish, { ...context, signal }, times)
      try {
        await Promise.race([follower.failed, follower.ended])
      } catch (error) {
        if (!context.signal.aborted) throw error
      } finally {
        ended.abort()
        await follower.ended
      }
    },
  }
}

export const kubernetesSource = createKubernetesSource()
