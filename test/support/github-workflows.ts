import { readdirSync, readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { parse } from 'yaml'

// GitHub's own parser imports its schema as bundlers take it: without saying that it is JSON.
registerHooks({
  load: (url, context, next) =>
    next(
      url,
      /@actions\/workflow-parser\/.*\.json$/.test(url)
        ? { ...context, importAttributes: { type: 'json' } }
        : context,
    ),
})
const parser = await import('@actions/workflow-parser')

export interface Step {
  readonly uses?: string
  readonly run?: string
  readonly with?: Readonly<Record<string, unknown>>
}

export interface Job {
  readonly uses?: string
  readonly needs?: string | readonly string[]
  readonly permissions?: Readonly<Record<string, string>>
  readonly if?: string
  readonly env?: Readonly<Record<string, unknown>>
  readonly container?: string
  readonly 'timeout-minutes'?: number
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly unknown[]>> }
  readonly steps?: readonly Step[]
}

export interface Workflow {
  readonly file: string
  readonly text: string
  readonly on: Readonly<Record<string, unknown>>
  readonly permissions?: Readonly<Record<string, string>>
  readonly concurrency?: { readonly group: string; readonly 'cancel-in-progress': unknown }
  readonly jobs: Readonly<Record<string, Job>>
}

const folder = '.github/workflows'

/** The project's workflows, as they are written. */
export function readWorkflows(): Workflow[] {
  return readdirSync(folder).map((file) => {
    const text = readFileSync(join(folder, file), 'utf8')
    return { ...(parse(text) as Omit<Workflow, 'file' | 'text'>), file, text }
  })
}

export const steps = ({ jobs }: Workflow): Step[] => Object.values(jobs).flatMap((job) => job.steps ?? [])

/** What GitHub's own parser has against a workflow: keys, values, expressions and what they may name. */
export async function workflowFaults(file: string, text: string): Promise<string[]> {
  const { context, value } = parser.parseWorkflow(
    { name: file, content: text },
    new parser.NoOperationTraceWriter(),
  )
  if (value !== undefined) await parser.convertWorkflowTemplate(context, value)
  return context.errors.getErrors().map(({ message }) => message)
}
