import { registerHooks } from 'node:module'

/**
 * Loaded before the gateway (`node --import`): puts a module that does nothing in the place of the one that measures
 * each request, counts it and writes its access line. The gateway has no such switch, and pays for none.
 */
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === './access-log.ts'
      ? { url: new URL('./telemetry-nothing.ts', import.meta.url).href, shortCircuit: true }
      : next(specifier, context),
})
