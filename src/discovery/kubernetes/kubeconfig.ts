import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'

// Only what @kubernetes/client-node leaves out is read here: a look before it is loaded, and `tokenFile`.

const fileSchema = z.object({
  'current-context': z.string().nullish(),
  contexts: z
    .array(z.object({ name: z.string(), context: z.object({ namespace: z.string().nullish() }) }))
    .nullish(),
  users: z
    .array(z.object({ name: z.string(), user: z.object({ tokenFile: z.string().nullish() }).nullish() }))
    .nullish(),
})

export interface Contexts {
  /** Name → its namespace, if it has one. */
  readonly contexts: ReadonlyMap<string, string | undefined>
  readonly current: string | undefined
}

/** The contexts of kubeconfig files; the first file that says something of a name wins, as in kubectl. */
export function readContexts(files: readonly string[]): Contexts | { readonly fault: string } {
  const contexts = new Map<string, string | undefined>()
  let current: string | undefined
  if (files.length === 0) return { fault: 'no file is named' }
  for (const file of files) {
    const read = readFile(file)
    if (typeof read === 'string') return { fault: read }
    current ??= read['current-context'] || undefined
    for (const { name, context } of read.contexts ?? []) {
      if (!contexts.has(name)) contexts.set(name, context.namespace || undefined)
    }
  }
  return { contexts, current }
}

/** kubectl's `tokenFile` of each user, absolute: client-node 2.0 knows it as `token-file` only. */
export function readTokenFiles(files: readonly string[]): ReadonlyMap<string, string> {
  const tokenFiles = new Map<string, string>()
  for (const file of files) {
    const read = readFile(file)
    if (typeof read === 'string') throw new Error(read)
    for (const { name, user } of read.users ?? []) {
      if (user?.tokenFile && !tokenFiles.has(name)) {
        tokenFiles.set(name, resolve(dirname(file), user.tokenFile))
      }
    }
  }
  return tokenFiles
}

/** The file, or what is wrong with it. A parser's own words are not repeated: they may quote a token. */
function readFile(file: string): z.output<typeof fileSchema> | string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return `${file} (${(error as NodeJS.ErrnoException).code})`
  }
  try {
    const result = fileSchema.safeParse(parse(text, { logLevel: 'error' }))
    if (result.success) return result.data
    return `${file} is no kubeconfig, at ${result.error.issues[0]?.path.join('.') || 'its beginning'}`
  } catch {
    return `${file} is not YAML`
  }
}
