import type { Worker } from 'node:cluster'

/** A connection as node:cluster passes it on. */
interface Handle {
  /** Negative or absent once it is closed. */
  readonly fd?: number
  close(): void
}

/**
 * Closes what a worker that dies was just being handed. node:cluster gives a worker one connection at a time and lets
 * go of its own copy when the worker says that it has it; of one that dies meanwhile nobody lets go, and the client
 * would wait for its own time-out. Closed, it fails at once, like all that the worker had.
 */
export function closeInTransit(worker: Worker): void {
  const { process: child } = worker
  let last: Handle | undefined
  const send = child.send.bind(child) as (...args: unknown[]) => boolean
  child.send = (...args: unknown[]) => {
    const [message, handle] = args as [{ readonly act?: unknown } | undefined, Handle | undefined]
    if (message?.act === 'newconn' && typeof handle?.close === 'function') last = handle
    return send(...args)
  }
  const close = () => {
    if ((last?.fd ?? -1) >= 0) last?.close()
    last = undefined
  }
  // Whichever comes first, more may be handed over until the other.
  worker.once('exit', close)
  worker.once('disconnect', close)
}
