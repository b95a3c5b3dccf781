import type { Environment } from '../discovery/source.ts'

/*
 * `${NAME}` in gateway.yaml. Braces mean something in YAML's flow style (`urls: [${URL}]`), so before the
 * text is parsed each placeholder is spelt in private-use characters, one for one, which keeps every offset;
 * values are put in after parsing, so that no value can change the structure.
 */
const open = '\uE000\uE001'
const close = '\uE002'
const placeholder = /\$\{([^{}\r\n]*)\}/g
const hidden = /(\$?)\uE000\uE001([^\uE002]*)\uE002/g

export function hidePlaceholders(text: string): string {
  return text.replace(placeholder, `${open}$1${close}`)
}

/** The text as its author wrote it. */
export function showPlaceholders(text: string): string {
  return text.replaceAll(open, '${').replaceAll(close, '}')
}

interface PlaceholderProblem {
  /** As written, to find its line. */
  readonly placeholder: string
  readonly found: string
  readonly expected: string
}

export interface Substitution {
  readonly value: string
  readonly problems: readonly PlaceholderProblem[]
}

/** Replaces the hidden placeholders of a parsed value; `$${…}` gives a literal `${…}`. */
export function substitute(text: string, environment: Environment): Substitution {
  const problems: PlaceholderProblem[] = []
  const value = text.replace(hidden, (_, dollar: string, name: string) => {
    const written = `\${${name}}`
    if (dollar === '$') return written
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      const expected = 'the name of an environment variable, or $${ for a literal ${'
      problems.push({ placeholder: written, found: JSON.stringify(written), expected })
    } else if (environment[name] === undefined) {
      const expected = `the environment variable ${name} to be set`
      problems.push({ placeholder: written, found: JSON.stringify(written), expected })
    }
    return environment[name] ?? ''
  })
  return { value, problems }
}
