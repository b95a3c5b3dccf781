import { parseArgs } from 'node:util'
import type { Explanation } from '../admin/explain.ts'
import { askGateway } from './ask-gateway.ts'
import { type Command, UsageError } from './command.ts'
import { explanationText } from './explain-text.ts'
import { printable } from './text-table.ts'

/** What a running gateway would do with a request. */
export const explain: Command = {
  usage: [
    'explain <method> <url> [--json]   which route it takes and why, what the house sees, who would be asked',
    'explain <method> <url> --url <url>    by the gateway whose admin endpoints are there',
  ],
  async run(args, context) {
    const { method, target, json, url } = parse(args)
    const query = new URLSearchParams({ method, url: target })
    const explanation = (await askGateway(`/admin/explain?${query}`, url, context)) as Explanation
    if (json) context.print(JSON.stringify(explanation, null, 2))
    else for (const line of explanationText(explanation)) context.print(printable(line))
  },
}

interface Question {
  readonly method: string
  readonly target: string
  readonly json: boolean
  readonly url: string | undefined
}

function parse(args: readonly string[]): Question {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false }, url: { type: 'string' } },
    })
    const [method, target, ...others] = positionals
    if (!method || !target || others.length > 0) {
      throw new Error('expected a method and a URL, such as GET /api/users')
    }
    return { method, target, json: values.json, url: values.url }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
