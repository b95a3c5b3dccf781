import Koa from 'koa'
import type { Config } from '../config/config.ts'
import { requestId } from '../door/request-id.ts'
import { type AdminRooms, mountAdminRoutes } from '../door/routes.ts'
import { createDoorServer, type DoorServerOptions, writeProblem } from '../door/server.ts'
import type { DoorState } from '../door/state.ts'
import { GatewayError } from '../errors.ts'
import type { Log } from '../observability/log.ts'

export interface AdminServer {
  /**
   * Takes connections, and says where.
   * @throws Error (rejects with) whose message names the setting, where it cannot
   */
  listen(): Promise<string>
  /** As that of the door: what is in flight ends first, unless `signal` aborts. */
  close(signal: AbortSignal): Promise<void>
}

export interface AdminServerOptions {
  readonly rooms: AdminRooms
  readonly onUnparsable: DoorServerOptions['onUnparsable']
  readonly acceptTurn?: DoorServerOptions['acceptTurn']
  readonly port: number
  readonly host: string
  readonly log: Log
}

/** The admin endpoints' own port; undefined where they are on the main port. */
export function createAdminServer(
  { port, host }: Config['admin'],
  options: Omit<AdminServerOptions, 'port' | 'host'>,
): AdminServer | undefined {
  return port === undefined ? undefined : listener({ ...options, port, host })
}

function listener({ rooms, onUnparsable, acceptTurn, port, host, log }: AdminServerOptions): AdminServer {
  const app = new Koa<DoorState>()
  mountAdminRoutes(app, rooms)
  app.on('error', (error: Error) => log.debug({ error: error.message }, 'admin reply not delivered'))
  const server = createDoorServer({
    onRequest: app.callback(),
    onUnparsable,
    acceptTurn,
    // There is no WebSocket here, and whoever asks for one is told nothing else.
    onWebSocket: ({ rawHeaders }, socket) =>
      writeProblem(socket, new GatewayError('not_found'), requestId(rawHeaders)),
  })
  return {
    async listen() {
      const { port: chosen } = await server.listen(port, host).catch((error: unknown) => {
        throw new Error(explainListen(error, port, host), { cause: error })
      })
      return `http://${host.includes(':') ? `[${host}]` : host}:${chosen}`
    },
    close: server.close,
  }
}

function explainListen(error: unknown, port: number, host: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE') {
    return `ADMIN_PORT: ${port} is in use; stop what listens there, or set ADMIN_PORT to another one`
  }
  if (code === 'EACCES') {
    return `ADMIN_PORT: ${port} may not be listened on by this user; set ADMIN_PORT to another one`
  }
  if (code === 'ENOTFOUND' || code === 'EADDRNOTAVAIL' || code === 'EAI_AGAIN') {
    return `ADMIN_HOST: ${JSON.stringify(host)} is no address of this machine`
  }
  return `ADMIN_PORT: ${port} cannot be listened on (${String(code)})`
}
