import { run } from './lifecycle.ts'
import { type StartedGateway, startGateway } from './start.ts'

let gateway: StartedGateway | undefined
// As of old, a daemon that is hung up on reads its configuration anew; before it has one, there is nothing to do.
process.on('SIGHUP', () => gateway?.reload())

await run({
  start: async () => {
    gateway = await startGateway(process.env, process.cwd())
    return gateway.stop
  },
  complain: (message) => console.error(`munjigi cannot start: ${message}`),
})
