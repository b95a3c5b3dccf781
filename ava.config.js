import { availableParallelism } from 'node:os'

export default {
  files: ['test/**/*.test.ts'],
  extensions: ['ts'],
  // How long nothing at all may come to its end; no test is slower than that, however slow the machine.
  timeout: '10m',
  // Test files wait for other processes and for timers half of their time.
  concurrency: availableParallelism() + 1,
}
