import { authVariables, commonVariables } from '../services/auth/settings.ts'
import type { SettingDoc } from '../src/config/setting-docs.ts'
import { descriptionSchema } from '../src/discovery/description.ts'
import { operatorsWords } from '../src/discovery/side-traffic.ts'
import { gatewaySchema, hints, type JsonSchema } from './gateway-schema.ts'
import { expectedValue, wantedInProduction } from './setting-values.ts'

// The tables of docs/configuration.md; what stands between them is written by hand.

/** What the schemas do not tell: what holds where nothing is said, and a value to show where the hints have none. */
const whereAbsent: Readonly<Record<string, string>> = {
  urls: 'none: the service is discovered',
  enable: '`false`; `true` where `gateway.yaml` has `urls`',
  path: '`/api/<service>`',
  strip: 'the default path; nothing where `path` is given',
  scope: 'none',
  timeout: '`REQUEST_TIMEOUT` (`15s`)',
  inject: 'none',
  port: 'the first port',
  concurrency: 'no limit',
  rate: 'no limit',
  'canary-of': 'none',
  'canary-header': 'none',
  'mirror-to': 'none',
}
const shownValues: Readonly<Record<string, unknown>> = {
  enable: true,
  auth: 'none',
  retries: 2,
  protocol: 'https',
  balance: 'round-robin',
  'eject-after': 10,
  'eject-time': '1m',
  'eject-share': '50%',
  panic: '30%',
  'retry-budget': '10%',
  queue: 20,
  'queue-timeout': '500ms',
}

/** Puts the tables between their marks in the page. */
export function renderConfiguration(page: string, settings: readonly SettingDoc[]): string {
  const parts = {
    variables: variables(settings),
    'route keys': routeKeys(),
    'file keys': fileKeys(),
  }
  let text = page
  for (const [name, table] of Object.entries(parts)) {
    const marked = new RegExp(`(<!-- ${name}:.*-->\\n)[\\s\\S]*(<!-- /${name} -->)`)
    if (!marked.test(text)) throw new Error(`docs/configuration.md: no place marked for the ${name}`)
    text = text.replace(marked, (_, open, close) => `${open}${table}\n${close}`)
  }
  return text
}

function variables(settings: readonly SettingDoc[]): string {
  const wanted = wantedInProduction()
  const groups = Map.groupBy(settings, ({ group }) => group)
  const sections = [...groups].map(([group, members]) => {
    const rows = members.map((setting) => {
      const { name, meaning, secret } = setting
      const notes = [
        ...(secret ? ['**secret**'] : []),
        ...(wanted.has(name) ? ['**required in production**'] : []),
      ]
      const told = notes.length > 0 ? meaning.replace(/; required in production\b/, '') : meaning
      return [
        `\`${name}\``,
        ...[setting.default, expectedValue(setting), [told, ...notes].join('; '), readers(setting)].map(cell),
      ]
    })
    return `### ${group}\n\n${table(['variable', 'default', 'value', 'meaning', 'read by'], rows)}`
  })
  return `\n${sections.join('\n\n')}\n`
}

function readers({ name, group }: SettingDoc): string {
  if (group === 'The demo provider') return '`npm start`'
  if (name in authVariables) return 'auth'
  return commonVariables.has(name) || group === 'Discovery: consul' ? 'gateway, auth' : 'gateway'
}

function serviceSchema(): Readonly<Record<string, JsonSchema>> {
  const { definitions } = gatewaySchema() as {
    definitions: { service: { properties: Record<string, JsonSchema> } }
  }
  return definitions.service.properties
}

function routeKeys(): string {
  const described = serviceSchema()
  const rows = Object.keys(descriptionSchema.shape).map((key) => {
    const value = shownValues[key] ?? hints[key]?.examples?.[0] ?? hints[key]?.default
    const own = operatorsWords.some((word) => word === key)
    return [
      `\`${key}\``,
      ...(own ? ['–', '–'] : [asTags(key, value), asAnnotation(key, value)]).map(inCell),
      inCell(asYaml(key, value)),
      absent(key),
      cell(String(described[key]?.description)),
    ]
  })
  const annotation = 'annotation, after `gateway.jinmini.com/`'
  return table(['key', 'tag', annotation, '`gateway.yaml`', 'default', 'meaning'], rows)
}

function fileKeys(): string {
  const { properties } = gatewaySchema() as { properties: Record<string, JsonSchema> }
  const beyond = Object.entries(serviceSchema()).filter(([key]) => !(key in descriptionSchema.shape))
  const rows = [
    ...Object.entries(properties).map(([key, schema]) => [
      `\`${key}\``,
      '–',
      cell(String(schema.description)),
    ]),
    ...beyond.map(([key, schema]) => [
      `\`services.<name>.${key}\``,
      absent(key),
      `${cell(String(schema.description))}: \`${asYaml(key, hints[key]?.examples?.[1])}\``,
    ]),
    ['`services.<name>.<key>`', '', 'every key of the table above'],
  ]
  return table(['key', 'default', 'meaning'], rows)
}

function absent(key: string): string {
  const { default: given } = hints[key] ?? {}
  return whereAbsent[key] ?? (given === undefined ? 'none' : `\`${given}\``)
}

function asTags(key: string, value: unknown): string {
  const texts = key === 'path' && Array.isArray(value) ? value : [flat(value)]
  return texts.map((text) => `\`gateway.${key}=${text}\``).join(', ')
}

function asAnnotation(key: string, value: unknown): string {
  const text = key === 'path' && Array.isArray(value) ? value.join(', ') : flat(value)
  return `\`${key}: ${JSON.stringify(text)}\``
}

function asYaml(key: string, value: unknown): string {
  if (Array.isArray(value)) return `${key}: [${value.map(plain).join(', ')}]`
  return `${key}: ${typeof value === 'string' ? plain(value) : String(value)}`
}

/** Quoted where YAML asks for it, within a list too. */
function plain(text: string): string {
  return /^[\w/][\w/.:%=;, -]*$/.test(text) && !/: |, /.test(text) ? text : `"${text}"`
}

function flat(value: unknown): string {
  return Array.isArray(value) ? value.join(' ') : String(value)
}

const inCell = (text: string) =>
  (text.startsWith('`') || text === '–' ? text : `\`${text}\``).replaceAll('|', '\\|')
const cell = (part: string) => part.replaceAll('|', '\\|').replaceAll('<', '&lt;')

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
