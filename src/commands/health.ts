import { parseArgs } from 'node:util'
import { readEnvironment, readSettings } from '../config/environment.ts'
import { ConfigError } from '../config/fault.ts'
import { askHealth } from './ask-health.ts'
import { type Command, type CommandContext, UsageError } from './command.ts'
import { reachable } from './reachable.ts'

/** Whether the gateway of this container is alive: for HEALTHCHECK, where there is no curl. */
export const health: Command = {
  usage: [
    'health                       whether the gateway of the same environment answers /livez',
    'health --ready               whether it is ready for traffic: /readyz',
  ],
  async run(args, context) {
    const url = `${originOf(context)}${parse(args) ? '/readyz' : '/livez'}`
    const { status, said = 'no word on it' } = await askHealth(url).catch((error: Error) => {
      throw new Error(`${url} does not answer: ${error.message}`)
    })
    if (status !== 200) throw new Error(`${url}: ${status} ${said}`)
    context.print(`${url}: ${status} ${said}`)
  },
}

function parse(args: readonly string[]): boolean {
  try {
    return parseArgs({ args: [...args], options: { ready: { type: 'boolean', default: false } } }).values
      .ready
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** Where the gateway listens that was started with the same environment. Its probes have no prefix. */
function originOf({ env, cwd }: CommandContext): string {
  const { environment } = readEnvironment(env, cwd)
  const { values, faults } = readSettings(environment)
  const concerning = faults.filter(
    ({ place }) => 'variable' in place && ['NODE_ENV', 'PORT', 'HOST'].includes(place.variable),
  )
  if (concerning.length > 0) throw new ConfigError(concerning)
  if (values.PORT === 0) throw new Error('PORT is 0, any free one: the gateway cannot be found')
  return `http://${reachable(values.HOST)}:${values.PORT}`
}
