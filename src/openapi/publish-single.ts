import { LRUCache } from 'lru-cache'
import type { MergeInputs } from './merge-inputs.ts'
import type { ServedDocument, Workshop } from './workshop.ts'

export interface SinglesOptions {
  readonly inputs: MergeInputs
  readonly workshop: Pick<Workshop, 'merge'>
  /** Of all that are kept. */
  readonly cacheBytes: number
  readonly signal: AbortSignal
}

export interface Singles {
  /** Undefined where the service has no document, or is not known. Rejects where it cannot be made. */
  get(service: string): ServedDocument | Promise<ServedDocument> | undefined
}

interface Single {
  /** Of what it was made. */
  readonly key: string
  readonly document: ServedDocument
}

/** Makes single services' documents when somebody asks, and keeps those that were asked for last. */
export function createSingles({ inputs, workshop, cacheBytes, signal }: SinglesOptions): Singles {
  const kept = new LRUCache<string, Single>({
    maxSize: cacheBytes,
    sizeCalculation: ({ key, document: { body, gzip } }) => body.length + gzip.length + 2 * key.length,
  })
  /** One merge for all who ask for the same meanwhile. */
  const underWay = new Map<string, { readonly key: string; readonly document: Promise<ServedDocument> }>()

  async function make(service: string, key: string): Promise<ServedDocument> {
    try {
      const document = await workshop.merge(inputs.job(service), signal)
      kept.set(service, { key, document })
      return document
    } finally {
      underWay.delete(service)
    }
  }

  return {
    get(service) {
      const key = inputs.keyOf(service)
      if (key === undefined) return undefined
      const known = kept.get(service)
      if (known?.key === key) return known.document
      const begun = underWay.get(service)
      // What is begun shows a state that was true when it was asked for.
      if (begun !== undefined) return begun.document
      const document = make(service, key)
      underWay.set(service, { key, document })
      return document
    },
  }
}
