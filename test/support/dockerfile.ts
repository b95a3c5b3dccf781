import { readFileSync } from 'node:fs'

export interface Stage {
  readonly name: string
  /** The stage or image that it begins with. */
  readonly from: string
  /** Each instruction, continued lines joined, in order. */
  readonly instructions: readonly { readonly word: string; readonly rest: string }[]
}

/** The stages of a Dockerfile, and the ARGs before the first. */
export function readDockerfile(path = 'Dockerfile'): {
  args: ReadonlyMap<string, string>
  stages: readonly Stage[]
} {
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .map((line) => /^\s*([A-Z]+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null)
  const args = new Map<string, string>()
  const stages: { name: string; from: string; instructions: { word: string; rest: string }[] }[] = []
  for (const [, word = '', rest = ''] of lines) {
    if (word === 'FROM') {
      const [from = '', , name = ''] = rest.split(/\s+/)
      stages.push({ name, from, instructions: [] })
    } else if (stages.length > 0) stages.at(-1)?.instructions.push({ word, rest })
    else if (word === 'ARG') args.set(rest.split('=', 1)[0] ?? '', rest.slice(rest.indexOf('=') + 1))
  }
  return { args, stages }
}

/** What a stage, and those that it begins with, copies of the working copy: source and place, relative to /app. */
export function copiesOf(stages: readonly Stage[], name: string): readonly { from: string; to: string }[] {
  const stage = stages.find((one) => one.name === name)
  if (stage === undefined) return []
  const own = stage.instructions
    .filter(({ word, rest }) => word === 'COPY' && !rest.includes('--from='))
    .flatMap(({ rest }) => {
      const words = rest.split(/\s+/).filter((text) => !text.startsWith('--'))
      const to = words.pop() ?? ''
      return words.map((from) => ({ from, to: to.endsWith('/') ? `${to}${from.split('/').at(-1)}` : to }))
    })
  return [...copiesOf(stages, stage.from), ...own]
}

/** The last instruction of this kind that holds for a stage. */
export function lastOf(stages: readonly Stage[], name: string, word: string): string | undefined {
  const stage = stages.find((one) => one.name === name)
  if (stage === undefined) return undefined
  const own = stage.instructions.findLast((one) => one.word === word)
  return own?.rest ?? lastOf(stages, stage.from, word)
}

/** Whether .dockerignore leaves this path out of a build: the last line that names it, or a folder of it, decides. */
export function createIgnored(path = '.dockerignore'): (file: string) => boolean {
  const rules = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => ({ leavesOut: !line.startsWith('!'), pattern: toPattern(line.replace(/^!/, '')) }))
  return (file) => {
    const parts = file.split('/')
    const paths = parts.map((_, index) => parts.slice(0, index + 1).join('/'))
    return rules.findLast(({ pattern }) => paths.some((one) => pattern.test(one)))?.leavesOut ?? false
  }
}

function toPattern(text: string): RegExp {
  const source = text
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*\*\/|\*\*|\*/g, (star) => (star === '**/' ? '(?:.*/)?' : star === '**' ? '.*' : '[^/]*'))
  return new RegExp(`^${source}$`)
}
