import { run } from './lifecycle.ts'
import { startGateway } from './start.ts'

await run({
  start: async () => {
    const gateway = await startGateway(process.env, process.cwd())
    return gateway.stop
  },
  complain: (message) => console.error(`munjigi cannot start: ${message}`),
})
