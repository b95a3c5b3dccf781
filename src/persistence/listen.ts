import { setTimeout as delay } from 'node:timers/promises'
import type { PGlite } from '@electric-sql/pglite'
import type { Client } from 'pg'
import { ConnectionFault, retryDelayMs } from './faults.ts'
import { connectionOptions, type PostgresClients, type PostgresConfig } from './postgres.ts'

/** Hears the database's notifications. None may be relied upon: a pooler or a lost connection swallows them. */
export interface Listener {
  /** From now on hears this channel too. */
  listen(channel: string): void
  stop(): Promise<void>
}

/** Called with the channel that may have something new; for every channel after a connection was made anew. */
type Hear = (channel: string) => void

/** How often the connection is asked whether it still is one: without traffic a partition is not noticed. */
const heartbeatMs = 5000

/** LISTEN on one connection of its own, for all channels, made anew with back-off whenever it is lost. */
export function createPostgresListener(
  config: PostgresConfig,
  clients: PostgresClients,
  hear: Hear,
): Listener {
  const channels = new Set<string>()
  let connected: Client | undefined
  const stopping = new AbortController()
  let running: Promise<void> | undefined

  async function run() {
    let failures = 0
    while (!stopping.signal.aborted) {
      const client = new clients.Client(connectionOptions(config))
      const lost = new Promise<void>((resolve) => {
        client.on('error', () => resolve())
        client.on('end', () => resolve())
      })
      client.on('notification', ({ channel }) => hear(channel))
      try {
        await client.connect()
        connected = client
        for (const channel of channels) await client.query(listenTo(channel))
        failures = 0
        for (const channel of channels) hear(channel)
        await Promise.race([lost, beat(client)])
      } catch {
        // It is tried again, and whoever asks the database for something says what is wrong with it.
      }
      connected = undefined
      void client.end().catch(() => {})
      failures++
      if (!stopping.signal.aborted) await pause(retryDelayMs(failures))
    }
  }

  async function beat(client: Client) {
    while (connected === client) {
      await pause(heartbeatMs)
      if (connected === client) await client.query('select 1')
    }
  }

  /** Ends early where the listener is stopped. */
  async function pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: stopping.signal }).catch(() => {})
  }

  return {
    listen(channel) {
      channels.add(channel)
      running ??= run()
      connected?.query(listenTo(channel)).then(
        () => hear(channel),
        () => {},
      )
    },
    async stop() {
      stopping.abort()
      await connected?.end().catch(() => {})
      await running
    },
  }
}

/** The same within the process. */
export function createPgliteListener(pglite: PGlite, hear: Hear): Listener {
  const unlisten: Promise<() => Promise<void>>[] = []
  return {
    listen(channel) {
      const listening = pglite.listen(quoted(channel), () => hear(channel))
      unlisten.push(listening)
      listening.then(
        () => hear(channel),
        () => {},
      )
    },
    async stop() {
      for (const end of await Promise.allSettled(unlisten)) {
        if (end.status === 'fulfilled' && !pglite.closed) await end.value().catch(() => {})
      }
    },
  }
}

const listenTo = (channel: string) => `listen ${quoted(channel)}`

function quoted(channel: string): string {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(channel)) {
    throw new ConnectionFault(`not a channel: ${channel}; expected lower-case letters, digits and _`)
  }
  return `"${channel}"`
}
