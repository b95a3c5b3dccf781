import cluster from 'node:cluster'
import { keepCompiledCode } from './collector.ts'
import { run } from './lifecycle.ts'
import { workerArgument } from './workers/messages.ts'

keepCompiledCode()

// Somebody else's cluster (pm2 has one) runs us as a worker of its own: that is a gateway like any other.
if (cluster.isWorker && process.argv[2] === workerArgument) {
  // A terminal sends them to everybody, and so does systemd; it is for the primary to say what becomes of them. At once:
  // what serves takes a second to load. It is loaded where something serves, which a primary does not.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
  const { runWorker } = await import('./workers/worker.ts')
  await runWorker()
} else {
  let gateway: { readonly stop: () => Promise<void>; readonly reload: () => void } | undefined
  // As of old, a daemon that is hung up on reads its configuration anew; before it has one, there is nothing to do.
  process.on('SIGHUP', () => gateway?.reload())

  await run({
    start: async () => {
      const { openForStart } = await import('./opening.ts')
      const opened = openForStart({ env: process.env, cwd: process.cwd() })
      if (opened.config.workers > 1) {
        const { startPrimary } = await import('./workers/primary.ts')
        gateway = await startPrimary(opened)
      } else {
        const { startOpened } = await import('./start.ts')
        gateway = await startOpened(opened)
      }
      return gateway.stop
    },
    complain: (message) => console.error(`munjigi cannot start: ${message}`),
  })
}
