import type { buildConnector, Dispatcher, Pool } from 'undici'
import type { Instance } from '../discovery/source.ts'

type CreateConnector = (instance: Instance) => buildConnector.connector
type CreatePool = (instance: Instance, connect: buildConnector.connector) => Pool

const none = { active: 0, idle: 0 }

/**
 * The connections to one instance, in a pool that is there only while it has something to do: an undici pool takes
 * some 18 KB before its first connection, most of it a queue, and most instances of a large address book are idle at
 * any moment. A class, since there is one for each instance: closures would take five times the memory.
 */
export class Connections implements Pick<Dispatcher, 'dispatch'> {
  private readonly instance: Instance
  private readonly createConnector: CreateConnector
  private readonly createPool: CreatePool
  /** Outlives the pool, as it knows the TLS sessions that can be taken up again. */
  private connector: buildConnector.connector | undefined
  private pool: Pool | undefined
  private closed = false

  /** The functions are the same for all instances. */
  constructor(instance: Instance, createConnector: CreateConnector, createPool: CreatePool) {
    this.instance = instance
    this.createConnector = createConnector
    this.createPool = createPool
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    this.pool ??= this.open()
    return this.pool.dispatch(options, handler)
  }

  /** Takes nothing more on, and ends once what is in flight has finished. */
  async close(): Promise<void> {
    this.closed = true
    await this.pool?.close()
  }

  /** Ends at once, and what is in flight with it. */
  async destroy(): Promise<void> {
    this.closed = true
    await this.pool?.destroy()
  }

  /** Connections that stand, by whether they have a request. */
  counts(): { readonly active: number; readonly idle: number } {
    if (this.pool === undefined) return none
    const { connected, free } = this.pool.stats
    return { active: connected - free, idle: free }
  }

  private open(): Pool {
    this.connector ??= this.createConnector(this.instance)
    const pool = this.createPool(this.instance, this.connector)
    const drop = () => this.dropIfIdle()
    // One that was let go of refuses, by undici's own error for it.
    if (this.closed) void pool.close()
    else pool.on('disconnect', drop).on('connectionError', drop)
    return pool
  }

  private dropIfIdle(): void {
    const { pool } = this
    if (pool === undefined || this.closed) return
    const { connected, size } = pool.stats
    if (connected > 0 || size > 0) return
    this.pool = undefined
    void pool.close()
  }
}
