import { parseArgs } from 'node:util'
import type { LogLevelView } from '../admin/log-level.ts'
import { askGateway } from './ask-gateway.ts'
import { type Command, UsageError } from './command.ts'
import { printable } from './text-table.ts'

/** How much a running gateway logs. */
export const logLevel: Command = {
  usage: [
    'log-level                    how much the running gateway logs',
    'log-level <level>            debug, info, warn, error or silent, until it is started again',
    'log-level <level> --for 10m  for so long, then as LOG_LEVEL has it',
    'log-level … --url <url>      of the gateway whose admin endpoints are there, such as http://127.0.0.1:9090',
  ],
  async run(args, context) {
    const { level, for: duration, url } = parse(args)
    const change =
      level === undefined ? undefined : { level, ...(duration !== undefined && { for: duration }) }
    const view = (await askGateway('/admin/log-level', url, context, change)) as LogLevelView
    context.print(printable(spoken(view)))
  },
}

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { for: { type: 'string' }, url: { type: 'string' } },
      allowPositionals: true,
    })
    if (positionals.length > 1) throw new Error('expected one level')
    if (positionals.length === 0 && values.for !== undefined) throw new Error('expected a level with --for')
    return { level: positionals[0], ...values }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** `debug until 2026-11-23T12:00:00.000Z, then info; 2 workers` */
function spoken({ level, configured, until, workers }: LogLevelView): string {
  const then =
    until !== undefined
      ? ` until ${until}, then ${configured}`
      : level === configured
        ? ''
        : ` (LOG_LEVEL is ${configured})`
  return `${level}${then}${workers === undefined ? '' : `; ${workers} workers`}`
}
