import type { Worker } from 'node:cluster'

/** A connection as node:cluster passes it on. */
interface Handle {
  /** Negative or absent once it is closed. */
  readonly fd?: number
  close(): void
}

/**
 * Closes what a worker that dies was just being handed. node:cluster gives a worker one connection of each port at
 * a time and lets go of its own copy when the worker says that it has it; of one that dies meanwhile nobody lets go, and the client
 * would wait for its own time-out. Closed, it fails at once, like all that the worker had.
 */
export function closeInTransit(worker: Worker): void {
  const { process: child } = worker
  const given = new Set<Handle>()
  const send = child.send.bind(child) as (...args: unknown[]) => boolean
  child.send = (...args: unknown[]) => {
    const [message, handle] = args as [{ readonly act?: unknown } | undefined, Handle | undefined]
    if (message?.act === 'newconn' && typeof handle?.close === 'function') {
      for (const one of given) if (isClosed(one)) given.delete(one)
      given.add(handle)
    }
    return send(...args)
  }
  const close = () => {
    for (const one of given) if (!isClosed(one)) one.close()
    given.clear()
  }
  // Whichever comes first, more may be handed over until the other.
  worker.once('exit', close)
  worker.once('disconnect', close)
}

const isClosed = ({ fd = -1 }: Handle) => fd < 0
