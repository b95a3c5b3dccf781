import cluster from 'node:cluster'

/** Runs the gateway as a worker of somebody else's cluster, as process managers do. */
cluster.setupPrimary({ exec: 'src/main.ts', args: [] })
const worker = cluster.fork()
process.on('SIGTERM', () => worker.process.kill('SIGTERM'))
worker.on('exit', (code) => process.exit(code ?? 1))
