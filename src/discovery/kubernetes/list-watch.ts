import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { type Backoff, backoffMs } from '../backoff.ts'
import { type KubernetesClient, KubernetesError } from './client.ts'
import { metadataSchema } from './objects.ts'

export interface FollowTiming {
  /** A watch is asked to end after a time drawn between these, as client-go does: load moves to new servers. */
  readonly watchSeconds: { readonly least: number; readonly most: number }
  /** Bookmarks come about once a minute: a stream without them may be dead without knowing. */
  readonly silenceMs: number
  readonly backoff: Backoff
  /** A watch that held this long was a good one. */
  readonly steadyMs: number
}

/** What every following of one source has in common. */
export interface FollowBase {
  readonly client: KubernetesClient
  readonly timing: FollowTiming
  readonly signal: AbortSignal
  readonly random?: () => number
  /** Everything is known, and was handed over. */
  readonly onListed: () => void
  /** Something changed, or there was a sign of life: the watch is open, a bookmark came. */
  readonly onChanged: () => void
}

export interface FollowOptions<T> extends FollowBase {
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** Makes sense of an object; undefined for one that does not concern us. */
  readonly parse: (object: unknown) => T | undefined
  /** Every object there is. */
  readonly onList: (objects: readonly T[]) => void
  readonly onSet: (object: T) => void
  readonly onDelete: (namespace: string, name: string) => void
}

const pageSize = '500'
/** Watches that break in a row, none of which held: a new list may mend what a new watch does not. */
const mostBroken = 3
/** A stream that ends in good order, but sooner than this, must not become a loop. */
const briefMs = 1000

const listSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().nullish() }),
  items: z.array(z.unknown()).nullish(),
})
const eventSchema = z.object({ type: z.string(), object: z.unknown() })
const objectSchema = z.object({ metadata: metadataSchema })
const bookmarkSchema = z.object({ metadata: metadataSchema.pick({ resourceVersion: true }) })
const statusSchema = z.object({ code: z.int().optional(), message: z.string().optional() })

/**
 * Follows one kind of object by list and watch, as the API's concepts have it: from the list's resource version
 * on, a new list where the server answers 410 or says so in the stream, and after any other end a new watch from
 * the last version seen. Ends by rejecting only: a list that fails, watches that break in a row, or the signal.
 */
export async function followObjects<T>(options: FollowOptions<T>): Promise<never> {
  const { client, path, query, parse, timing, signal, random = Math.random } = options
  let version = ''
  let failures = 0

  async function list(): Promise<void> {
    const objects: T[] = []
    const page: Record<string, string> = { ...query, limit: pageSize }
    for (;;) {
      let body: unknown
      try {
        body = await client.get({ path, query: page, signal })
      } catch (error) {
        if (!isExpired(error) || page.limit === undefined) throw error
        // The pages have grown too old to be continued: all at once cannot.
        delete page.limit
        delete page.continue
        objects.length = 0
        continue
      }
      const { metadata, items } = understood(path, listSchema, body)
      for (const item of items ?? []) objects.push(...some(understand(item)))
      if (!metadata.continue) {
        version = metadata.resourceVersion
        options.onList(objects)
        return options.onListed()
      }
      page.continue = metadata.continue
    }
  }

  function understand(object: unknown): T | undefined {
    try {
      return parse(object)
    } catch (error) {
      if (error instanceof z.ZodError) throw unexpected(path, error)
      throw error
    }
  }

  async function watch(): Promise<void> {
    const { least, most } = timing.watchSeconds
    const timeoutSeconds = String(Math.round(least + random() * (most - least)))
    const events = client.watch({
      path,
      query: {
        ...query,
        watch: 'true',
        resourceVersion: version,
        allowWatchBookmarks: 'true',
        timeoutSeconds,
      },
      signal,
      silenceMs: timing.silenceMs,
      onOpen: options.onChanged,
    })
    for await (const event of events) take(event)
  }

  function take(event: unknown): void {
    const { type, object } = understood(path, eventSchema, event)
    if (type === 'ERROR') {
      const { code, message = 'an error without a message' } = understood(path, statusSchema, object)
      throw new KubernetesError(`Kubernetes: GET ${path}?watch: ${code ?? ''} ${message.slice(0, 300)}`, code)
    }
    if (type === 'BOOKMARK') {
      version = understood(path, bookmarkSchema, object).metadata.resourceVersion
      options.onChanged()
      return
    }
    const { metadata } = understood(path, objectSchema, object)
    const taken = type === 'DELETED' ? undefined : understand(object)
    if (taken === undefined) options.onDelete(metadata.namespace, metadata.name)
    else options.onSet(taken)
    version = metadata.resourceVersion
    options.onChanged()
  }

  for (;;) {
    await list()
    for (let expired = false; !expired; ) {
      const startedAt = performance.now()
      let fault: Error | undefined
      try {
        await watch()
      } catch (error) {
        signal.throwIfAborted()
        fault = error as Error
        expired = isExpired(error)
      }
      const heldMs = performance.now() - startedAt
      if (heldMs >= timing.steadyMs) failures = 0
      if (fault === undefined && heldMs >= briefMs) continue
      failures += 1
      // Expiry is no fault of the way there, and the cure is at hand; only repeated it has to wait.
      if (expired && failures === 1) continue
      if (!expired && failures >= mostBroken) {
        throw fault ?? new KubernetesError(`Kubernetes: GET ${path}?watch: ends as soon as it is open`)
      }
      await sleep(backoffMs(failures - 1, timing.backoff, random), undefined, { signal })
    }
  }
}

/** 410 as a status or in the stream: the version is older than what the server remembers. */
function isExpired(error: unknown): boolean {
  return error instanceof KubernetesError && error.status === 410
}

function some<T>(value: T | undefined): readonly T[] {
  return value === undefined ? [] : [value]
}

function understood<T>(path: string, schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw unexpected(path, result.error)
}

function unexpected(path: string, { issues }: z.ZodError): KubernetesError {
  const place = issues[0]?.path.join('.')
  return new KubernetesError(
    `Kubernetes: GET ${path}: a reply of an unexpected form${place ? ` at ${place}` : ''}`,
  )
}
