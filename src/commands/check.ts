import { parseArgs } from 'node:util'
import type { RoutingConfig } from '../config/config.ts'
import { readEnvironment, readSettings } from '../config/environment.ts'
import { ConfigError, type Fault, formatFault } from '../config/fault.ts'
import { openConfig } from '../config/load.ts'
import { readRouting } from '../config/routing.ts'
import { reviewRouting } from '../discovery/review.ts'
import { discoverySources } from '../discovery/sources/index.ts'
import { createOwnPaths } from '../door/own-paths.ts'
import { AlreadyTold, type Command, type CommandContext, UsageError } from './command.ts'

/** Whether a gateway could start with a gateway.yaml: for whoever edits it, and for CI. */
export const check: Command = {
  usage: [
    'check [--json]               whether the gateway could start: environment, .env and gateway.yaml',
    'check <file> [--json]        whether it could start with this file as its gateway.yaml',
  ],
  async run(args, context) {
    const { file, json } = parse(args)
    const { name, faults, routing, routePrefix } =
      file === undefined ? examineAll(context) : examineFile(file, context)
    const review =
      faults.length > 0 || routing === undefined
        ? { services: 0, routes: 0, warnings: [] }
        : reviewRouting(routing, createOwnPaths(routePrefix).reserves)
    if (json) {
      const findings = [
        ...faults.map(({ place, found, expected }) => ({ severity: 'error', ...place, found, expected })),
        ...review.warnings.map((message) => ({ severity: 'warning', file: name, message })),
      ]
      const { services, routes } = review
      const ok = faults.length === 0
      context.print(JSON.stringify({ file: name, ok, ...(ok && { services, routes }), findings }, null, 2))
    } else {
      for (const fault of faults) context.print(formatFault(fault))
      for (const warning of review.warnings) context.print(`${name}: warning: ${warning}`)
      if (faults.length === 0) {
        const { services, routes } = review
        context.print(`${name}: ${counted(services, 'service')}, ${counted(routes, 'route')}`)
      }
    }
    if (faults.length > 0) throw new AlreadyTold()
  },
}

function parse(args: readonly string[]): { file: string | undefined; json: boolean } {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false } },
    })
    if (positionals.length > 1) throw new Error('expected one file')
    return { file: positionals[0], json: values.json }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

interface Examined {
  readonly name: string
  readonly faults: readonly Fault[]
  readonly routing?: RoutingConfig
  readonly routePrefix: string
}

/** All that a start reads. */
function examineAll({ env, cwd }: CommandContext): Examined {
  try {
    const { config, file } = openConfig({ env, cwd, sources: discoverySources })
    const routing = { ...config, sources: config.discovery.sources }
    const name = file.text === undefined ? `${file.name} (not there)` : file.name
    return { name, faults: [], routing, routePrefix: config.routePrefix }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { name: env.GATEWAY_CONFIG ?? 'gateway.yaml', faults: error.faults, routePrefix: '' }
  }
}

/** One file, with what its placeholders stand for; what else the environment says is not asked. */
function examineFile(name: string, { env, cwd }: CommandContext): Examined {
  const environment = { ...readEnvironment(env, cwd).environment, GATEWAY_CONFIG: name }
  const { values } = readSettings(environment)
  const faults: Fault[] = []
  const discovery = values.DISCOVERY ?? []
  const input = { environment, cwd, discovery, sources: discoverySources }
  const { routing } = readRouting(input, faults, faults)
  return {
    name,
    faults: faults.flatMap((fault) => ofFile(fault, name)),
    routing,
    routePrefix: values.ROUTE_PREFIX ?? '',
  }
}

function ofFile(fault: Fault, file: string): Fault[] {
  if (!('variable' in fault.place)) return [fault]
  if (fault.place.variable !== 'GATEWAY_CONFIG') return []
  return [{ ...fault, place: { file, line: 1, column: 1, key: '' } }]
}

const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`
