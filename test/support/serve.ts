import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { ExecutionContext } from 'ava'
import { listenOnOwnPort } from './ports.ts'

/** Serves what a test put together itself, on a free port, until the test ends. Gives its origin. */
export async function serve(
  t: Pick<ExecutionContext, 'teardown'>,
  listener: RequestListener,
): Promise<string> {
  const server = createServer(listener)
  const port = await listenOnOwnPort(server)
  t.teardown(async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  })
  return `http://127.0.0.1:${port}`
}
