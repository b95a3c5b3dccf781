import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Cores } from './machine.ts'
import { freePort, type Launch, type Running, start } from './processes.ts'
import type { Relay } from './relays/relay.ts'
import { findFault } from './scenarios.ts'

/** A relay that runs, or that could not be brought to answer rightly. */
export interface Contender {
  readonly relay: Relay
  readonly version: string
  readonly port: number
  readonly process: Running
  /** Why it has no figures; set once it errs. */
  fault: string | undefined
}

/** Starts the origin and the relays, and ends them all, each in its own folder under one temporary directory. */
export function createArena(cores: Cores) {
  const root = mkdtempSync(join(tmpdir(), 'munjigi-bench-'))
  const processes: Running[] = []

  const launchIn = (
    name: string,
    core: number | undefined,
    launch: (directory: string) => Launch,
  ): Running => {
    const directory = join(root, name.replace(/\W+/g, '-'))
    mkdirSync(directory)
    const running = start(launch(directory), core, directory)
    processes.push(running)
    return running
  }

  return {
    root,

    /** Returns the origin's port once it answers. */
    startOrigin: async (): Promise<number> => {
      const port = await freePort()
      const origin = launchIn('origin', cores.load, () => ({
        command: process.execPath,
        args: [fileURLToPath(new URL('origin.mjs', import.meta.url))],
        env: { PORT: String(port) },
      }))
      const fault = await untilRight(origin, port)
      if (fault) throw new Error(`the origin: ${fault}`)
      return port
    },

    /** Starts a relay and checks that it relays every scenario rightly. */
    enter: async (relay: Relay, version: string, originPort: number, wrap = asIs): Promise<Contender> => {
      const port = await freePort()
      const running = launchIn(relay.name, cores.relay, (directory) =>
        wrap(relay.launch({ port, originPort, directory })),
      )
      const fault = await untilRight(running, port)
      return { relay, version, port, process: running, fault }
    },

    close: async (): Promise<void> => {
      await Promise.all(processes.map((running) => running.stop()))
      rmSync(root, { recursive: true, force: true })
    },
  }
}

export type Arena = ReturnType<typeof createArena>

const asIs = (launch: Launch): Launch => launch

/** Waits until every scenario is answered rightly, at most 30 s; returns what is wrong if they never are. */
async function untilRight(running: Running, port: number): Promise<string | undefined> {
  const deadlineMs = performance.now() + 30_000
  for (;;) {
    const fault = await findFault(port).catch((error: Error) => String(error.cause ?? error.message))
    if (fault === undefined) return undefined
    if (running.exited()) return `it ended at once: ${firstError(running.complaint()) ?? fault}`
    if (performance.now() > deadlineMs) return fault
    await sleep(100)
  }
}

/** The line of a stack trace that says what happened. */
const firstError = (complaint: string): string | undefined =>
  complaint.split('\n').find((line) => /error|fatal|alert/i.test(line)) ??
  (complaint.slice(0, 200) || undefined)
