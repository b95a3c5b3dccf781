import { EventEmitter, once } from 'node:events'
import { type RequestOptions, request } from './request.ts'
import type { TestUpstream } from './upstream.ts'
import { httpUpstream } from './upstream.ts'

/** `question`: the server has not heard of it yet. `answer`: it has done what it was asked, and nobody knows. */
export type Held = 'question' | 'answer'

/** Stands before a server, counts who passes, and holds up whom it is told to. */
export interface Turnstile extends TestUpstream {
  /** `POST /token` of everybody who came. */
  readonly passed: readonly string[]
  /** Holds up whoever comes from now on. */
  hold(where: Held | undefined): void
  /** Resolves when so many are held up. */
  held(count: number): Promise<void>
  /** Lets go on whoever is held up. */
  release(): void
}

export async function startTurnstile(
  t: Parameters<typeof httpUpstream>[0],
  target: string,
): Promise<Turnstile> {
  const { host } = new URL(target)
  const events = new EventEmitter()
  const passed: string[] = []
  const waiting = new Set<() => void>()
  let holding: Held | undefined

  function wait(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.add(resolve)
    events.emit('held')
    return promise
  }

  const upstream = await httpUpstream(t, async (incoming, response) => {
    const where = holding
    const { method = 'GET', url = '/' } = incoming
    passed.push(`${method} ${url}`)
    const chunks: Buffer[] = []
    try {
      for await (const chunk of incoming) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    if (where === 'question') await wait()
    if (response.destroyed) return
    const headers = { ...incoming.headers, host } as RequestOptions['headers'] & object
    const asked = request(target + url, { method, headers, body: Buffer.concat(chunks) })
    const answer = await asked.catch(() => response.destroy())
    if (!('body' in answer)) return
    if (where === 'answer') await wait()
    response.writeHead(answer.status, answer.rawHeaders as string[]).end(Buffer.from(answer.body, 'latin1'))
  })
  return Object.assign(upstream, {
    passed,
    hold(where: Held | undefined) {
      holding = where
    },
    async held(count: number) {
      while (waiting.size < count) await once(events, 'held')
    },
    release() {
      for (const goOn of waiting) goOn()
      waiting.clear()
    },
  })
}
