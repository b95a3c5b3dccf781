import { setTimeout as sleep } from 'node:timers/promises'
import { backoffMs } from '../backoff.ts'
import type { Publish, SourceContext } from '../source.ts'
import type { Access } from './access.ts'
import { type ClientTiming, createKubernetesClient } from './client.ts'
import { createClusterView } from './cluster-view.ts'
import { type FollowBase, type FollowTiming, followObjects } from './list-watch.ts'
import { parseService, parseSlice } from './objects.ts'
import type { KubernetesOptions } from './settings.ts'

export interface KubernetesTiming extends ClientTiming, FollowTiming {
  /** Changes that come faster than this are taken together. */
  readonly settleMs: number
}

/** One kind of object in one namespace, and how following it goes. */
interface Followed {
  /** Undefined for all namespaces. */
  readonly namespace: string | undefined
  readonly run: () => Promise<never>
  /** Undefined until it was listed or failed for the first time. */
  state: 'answers' | 'fails' | undefined
  /** Whether it was ever listed in this watch. */
  known: boolean
  lastError: Error | undefined
}

/**
 * Follows Services and EndpointSlices of every namespace and publishes what they come to, until the signal aborts.
 * `failed` rejects when no namespace can be followed whole; `ended` resolves when nothing is left open.
 */
export function followNamespaces(
  options: KubernetesOptions,
  access: Access,
  publish: Publish,
  { log, signal, lastKnown }: SourceContext,
  timing: KubernetesTiming,
) {
  const client = createKubernetesClient(access, timing)
  const view = createClusterView({ ...options, log, lastKnown })
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => {})
  let settling: NodeJS.Timeout | undefined
  let settledAt = -Infinity
  let complete = false
  let over = false

  const scopes = options.namespaces ?? [undefined]
  const all = scopes.flatMap((namespace) => [services(namespace), slices(namespace)])
  const loops = Promise.all(all.map(keepFollowing)).then(() => clearTimeout(settling))

  function services(namespace: string | undefined): Followed {
    return followed(namespace, (base) =>
      followObjects({
        ...base,
        path: pathOf('/api/v1', namespace, 'services'),
        query: {},
        parse: (object) => parseService(object, options.annotationPrefix),
        onSet: view.setService,
        onDelete: view.deleteService,
        onList: (objects) => view.replaceServices(namespace, objects),
      }),
    )
  }

  function slices(namespace: string | undefined): Followed {
    return followed(namespace, (base) =>
      followObjects({
        ...base,
        path: pathOf('/apis/discovery.k8s.io/v1', namespace, 'endpointslices'),
        query: { labelSelector: 'kubernetes.io/service-name' },
        parse: parseSlice,
        onSet: view.setSlice,
        onDelete: view.deleteSlice,
        onList: (objects) => view.replaceSlices(namespace, objects),
      }),
    )
  }

  function followed(namespace: string | undefined, run: (base: FollowBase) => Promise<never>): Followed {
    const self: Followed = {
      namespace,
      state: undefined,
      known: false,
      lastError: undefined,
      run: () =>
        run({
          client,
          timing,
          signal,
          onListed() {
            if (self.state === 'fails')
              log.info({ source: 'kubernetes' }, `kubernetes: ${where(self)} answers again`)
            Object.assign(self, { state: 'answers', known: true, lastError: undefined })
            settle()
          },
          onChanged: scheduleSettle,
        }),
    }
    return self
  }

  /** Follows until the signal aborts. Never rejects. */
  async function keepFollowing(self: Followed): Promise<void> {
    for (let failures = 0; !signal.aborted; failures++) {
      const startedAt = performance.now()
      await self.run().catch((error: Error) => {
        if (!signal.aborted) fail(self, error)
      })
      if (performance.now() - startedAt >= timing.steadyMs) failures = 0
      await sleep(backoffMs(failures, timing.backoff), undefined, { signal }).catch(() => {})
    }
  }

  function fail(self: Followed, error: Error): void {
    const before = self.lastError?.message
    self.state = 'fails'
    self.lastError = error
    if (
      scopes.every((namespace) =>
        all.some((other) => other.namespace === namespace && other.state === 'fails'),
      )
    ) {
      // Nowhere is the picture whole: that is the watcher's to tell and to try again.
      over = true
      failure.reject(error)
      return
    }
    if (error.message !== before && scopes.length > 1) {
      log.warn(
        { source: 'kubernetes' },
        `kubernetes: ${where(self)} keeps what was last known: ${error.message}`,
      )
    }
    // What is published counts as a word from the cluster.
    if (!complete) settle()
  }

  function scheduleSettle(): void {
    const waited = performance.now() - settledAt
    if (settling !== undefined || signal.aborted) return
    if (waited >= timing.settleMs) settle()
    else settling = setTimeout(settle, timing.settleMs - waited)
  }

  /** Publishes, once every namespace has answered or failed: half a picture is not one. */
  function settle(): void {
    clearTimeout(settling)
    settling = undefined
    settledAt = performance.now()
    if (signal.aborted || over) return
    complete ||= all.every(({ state }) => state !== undefined)
    if (!complete) return
    const blind = all.filter(({ known }) => !known).flatMap(({ namespace }) => namespace ?? [])
    publish(view.snapshot(blind))
  }

  return { failed: failure.promise, ended: loops }
}

function where({ namespace }: Followed): string {
  return namespace === undefined ? 'the cluster' : `namespace ${namespace}`
}

function pathOf(group: string, namespace: string | undefined, resource: string): string {
  return namespace === undefined ? `${group}/${resource}` : `${group}/namespaces/${namespace}/${resource}`
}
