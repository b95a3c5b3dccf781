import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'

interface Kept {
  readonly model: string
  readonly payload: AdapterPayload
  /** Milliseconds since the epoch. */
  readonly until: number
}

const mostBeforeSweep = 1000

/** What a demo provider remembers, by kind and id: in memory, and so until it stops. */
export function createDemoStore(now: () => number = Date.now): AdapterFactory {
  const store = new Map<string, Kept>()

  function live(key: string): AdapterPayload | undefined {
    const kept = store.get(key)
    if (kept === undefined || kept.until > now()) return kept?.payload
    store.delete(key)
    return undefined
  }

  function first(model: string, matches: (payload: AdapterPayload) => boolean): AdapterPayload | undefined {
    for (const [key, kept] of store) {
      if (kept.model === model && matches(kept.payload)) return live(key)
    }
    return undefined
  }

  function sweep(): void {
    for (const key of store.keys()) live(key)
  }

  return (model): Adapter => {
    const keyOf = (id: string) => `${model}:${id}`
    return {
      async upsert(id, payload, expiresIn) {
        if (store.size >= mostBeforeSweep) sweep()
        const until = expiresIn === undefined ? Number.POSITIVE_INFINITY : now() + expiresIn * 1000
        store.set(keyOf(id), { model, payload, until })
      },
      find: async (id) => live(keyOf(id)),
      findByUid: async (uid) => first(model, (payload) => payload.uid === uid),
      findByUserCode: async (userCode) => first(model, (payload) => payload.userCode === userCode),
      async consume(id) {
        const payload = live(keyOf(id))
        if (payload !== undefined) payload.consumed = Math.floor(now() / 1000)
      },
      async destroy(id) {
        store.delete(keyOf(id))
      },
      async revokeByGrantId(grantId) {
        for (const [key, { payload }] of store) if (payload.grantId === grantId) store.delete(key)
      },
    }
  }
}
