import http from 'node:http'
import type { ExecutionContext } from 'ava'

/** A message of the dashboard's events. */
export interface DashboardEvent {
  readonly event: string
  readonly id: string
  // biome-ignore lint/suspicious/noExplicitAny: as the page reads it, which has no types
  readonly data: any
}

export interface DashboardEvents {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  /** The next message that this is true of; rejects where the stream ends before. */
  next(wanted?: (event: DashboardEvent) => boolean): Promise<DashboardEvent>
  /** Everything as it came, once the stream has ended; `complete` unless it was cut off. */
  ended(): Promise<{ readonly text: string; readonly complete: boolean }>
  close(): void
}

/** Opens `/dashboard/events` of a gateway, as the page does. */
export async function openDashboardEvents(
  t: ExecutionContext,
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<DashboardEvents> {
  const request = http.get(`${url}/dashboard/events`, { agent: false, headers })
  t.teardown(() => request.destroy())
  const reply = await new Promise<http.IncomingMessage>((resolve, reject) =>
    request.once('response', resolve).once('error', reject),
  )
  const events: DashboardEvent[] = []
  let text = ''
  let unread = ''
  let wake = () => {}
  const over = new Promise<void>((resolve) => reply.once('close', resolve))
  reply.setEncoding('utf8')
  reply.on('error', () => {})
  reply.on('data', (chunk: string) => {
    text += chunk
    const parts = (unread + chunk).split('\n\n')
    unread = parts.pop() ?? ''
    for (const part of parts) {
      const [, id = ''] = /^id: (.*)$/m.exec(part) ?? []
      const [, event] = /^event: (.*)$/m.exec(part) ?? []
      const [, data] = /^data: (.*)$/m.exec(part) ?? []
      if (event !== undefined && data !== undefined) events.push({ event, id, data: JSON.parse(data) })
    }
    wake()
  })
  let isOver = false
  void over.then(() => {
    isOver = true
    wake()
  })
  return {
    status: reply.statusCode ?? 0,
    headers: reply.headers,
    async next(wanted = () => true) {
      for (;;) {
        for (let one = events.shift(); one !== undefined; one = events.shift()) if (wanted(one)) return one
        if (isOver) throw new Error(`the stream ended before that came: ${text.slice(-500)}`)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    async ended() {
      await over
      return { text, complete: reply.complete }
    },
    close: () => void request.destroy(),
  }
}
