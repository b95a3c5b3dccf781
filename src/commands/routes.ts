import { parseArgs } from 'node:util'
import type { InstanceView } from '../admin/instance-view.ts'
import type { RoutesView, RouteView, SourceView } from '../admin/list-routes.ts'
import { askGateway } from './ask-gateway.ts'
import { type Command, UsageError } from './command.ts'
import { alignColumns, printable, spokenDuration } from './text-table.ts'

/** The live table of a running gateway. */
export const routes: Command = {
  usage: [
    'routes [--json]              the live table: where every prefix leads, and how the instances are doing',
    'routes --url <url>           of the gateway whose admin endpoints are there, such as http://127.0.0.1:9090',
  ],
  async run(args, context) {
    const { json, url } = parse(args)
    const view = (await askGateway('/admin/routes', url, context)) as RoutesView
    if (json) context.print(JSON.stringify(view, null, 2))
    else for (const line of tableText(view)) context.print(printable(line))
  },
}

function parse(args: readonly string[]): { json: boolean; url: string | undefined } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { json: { type: 'boolean', default: false }, url: { type: 'string' } },
    })
    return { json: values.json, url: values.url }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** The same for people: what is known of it, its routes, its services' instances, what is wrong. */
function tableText({ workers, table, config, sources, problems, routes }: RoutesView): string[] {
  const services = new Map(
    routes
      .flatMap(({ canary, ...route }) => [route, ...(canary ? [canary] : [])])
      .map((one) => [one.service, one]),
  )
  return [
    `table ${table.version}: ${counted(table.routes, 'route')}, ${counted(table.services, 'service')}` +
      (workers === undefined ? '' : `; ${counted(workers, 'worker')}`),
    ...(config === undefined ? [] : [configLine(config)]),
    ...sources.map(sourceLine),
    ...(routes.length === 0 ? [] : ['', ...routeLines(routes)]),
    ...(services.size === 0 ? [] : ['', ...[...services.values()].flatMap(serviceLines)]),
    ...(problems.length === 0 ? [] : ['', ...problems.map((problem) => `problem: ${problem}`)]),
  ]
}

function configLine({ state, version, loadedAt, lastError }: NonNullable<RoutesView['config']>): string {
  const line = `gateway.yaml: ${state}, version ${version}, taken over at ${loadedAt}`
  return lastError === undefined ? line : `${line}; ${lastError}`
}

/** `source consul: live, heard of 2 s ago` */
export function sourceLine({ source, state, ageMs, lastError }: SourceView): string {
  const age = ageMs === undefined ? 'not heard of yet' : `heard of ${spokenDuration(ageMs)} ago`
  return `source ${source}: ${state}, ${age}${lastError === undefined ? '' : `; ${lastError}`}`
}

const heading = [
  ...['PREFIX', 'SERVICE', 'SOURCE', 'STRIP', 'AUTH', 'SCOPES', 'INJECT'],
  ...['TIMEOUT', 'RETRIES', 'BALANCE', 'LIMIT', 'CANARY', 'MIRROR', 'USABLE'],
]

function routeLines(routes: readonly RouteView[]): string[] {
  const rows = routes.map((route) => [
    ...[route.prefix, route.service, sourceOf(route), route.strip || '-', route.auth],
    ...[route.scopes.join(' ') || '-', route.inject ?? '-'],
    route.timeoutMs === undefined ? '-' : spokenDuration(route.timeoutMs),
    ...[String(route.retries), route.balance, limitOf(route), shareOf(route.canary), shareOf(route.mirror)],
    `${route.instances.filter(({ usable }) => usable).length} of ${route.instances.length}`,
  ])
  // A column that nobody fills is left out.
  const filled = heading.map((_, column) => rows.some((row) => row[column] !== '-'))
  return alignColumns([heading, ...rows].map((row) => row.filter((_, column) => filled[column])))
}

/** What each instance gets at a time, and how many may wait. */
const limitOf = ({ concurrency }: RouteView) =>
  concurrency === undefined ? '-' : `${concurrency.perInstance} (queue ${concurrency.queue})`

const shareOf = (other: RouteView['canary'] | RouteView['mirror']) =>
  other === undefined ? '-' : `${other.percent}% ${other.service}`

const sourceOf = ({ source, provenance }: RouteView) =>
  source === undefined ? '-' : provenance === 'named' ? source : `${source} (${provenance})`

function serviceLines({ service, instances }: Pick<RouteView, 'service' | 'instances'>): string[] {
  if (instances.length === 0) return [`${service}: no instances`]
  return [`${service}:`, ...instanceLines(instances)]
}

/** A line for each instance, with the reason where it is not simply used. */
export function instanceLines(instances: readonly InstanceView[], indent = '  '): string[] {
  const isWeighted = instances.some(({ assignedWeight }) => assignedWeight !== 1)
  return alignColumns(
    instances.map((instance) => {
      const { address, serverName, usable, reason, assignedWeight, inFlight, consecutiveFailures } = instance
      return [
        serverName === undefined ? address : `${address} (${serverName})`,
        usable ? 'usable' : 'not used',
        `${inFlight} in flight`,
        consecutiveFailures === 0 || reason ? '' : `${counted(consecutiveFailures, 'failure')} in a row`,
        isWeighted ? `weight ${assignedWeight}` : '',
        reason ?? '',
      ]
    }),
    indent,
  )
}

const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`
