// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholders of gateway.yaml look like that
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { serviceNamePattern } from '../src/config/gateway-file.ts'
import { descriptionSchema } from '../src/discovery/description.ts'

// The JSON Schema of gateway.yaml, for editors: written from the schemas that the loader itself reads with.

export interface JsonSchema {
  readonly [keyword: string]: unknown
}

const fileName = 'gateway.schema.json'

/** What the loader accepts wherever it accepts a value. */
const placeholder = {
  description: '${NAME}: what the environment variable stands for',
  type: 'string',
  pattern: '\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}',
}

/** A word in any case: JSON Schema's patterns have no flags. */
const anyCase = (word: string) => word.replace(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`)

// What zod says nothing of: stringbool's words, and src/config/service-urls.ts.
const flagWords = ['true', '1', 'yes', 'on', 'y', 'enabled', 'false', '0', 'no', 'off', 'n', 'disabled']
const flagPattern = `^(?:${flagWords.map(anyCase).join('|')})$`
const schemes = `(?:${anyCase('srv')}\\+)?${anyCase('http')}[sS]?`
const urlText = z.string().meta({ pattern: `^\\s*(?:${schemes}://[^@/?#\\s]|[^@/?#\\s]+:\\d)[^@]*$` })
const urls = z
  .union([urlText, z.array(urlText).min(1)])
  .describe('static instances; leave it out for a discovered service')

/** What an editor offers. */
export const hints: Readonly<
  Record<string, { readonly default?: unknown; readonly examples?: readonly unknown[] }>
> = {
  urls: {
    examples: [['http://localhost:8001'], ['http://a:8000; weight=3', 'http://b:8000'], 'http://auth:8000'],
  },
  path: { examples: [['/api/users', '/api/user/me; auth=required; scope=profile'], '/api/users'] },
  strip: { examples: ['/api', ''] },
  auth: { default: 'required' },
  scope: { examples: [['users:read', 'users:write'], 'users:read'] },
  timeout: { default: '15s', examples: ['15s', '500ms', '2m'] },
  retries: { default: 1 },
  openapi: { default: '/openapi.json', examples: ['/openapi.json', false] },
  inject: { examples: ['google', 'kakao'] },
  cache: { default: false, examples: ['30s', '5m', false] },
  port: { examples: [8080, 'http'] },
  protocol: { default: 'http' },
  balance: { default: 'p2c' },
  'eject-after': { default: 5 },
  'eject-time': { default: '30s' },
  'eject-share': { default: '10%' },
  panic: { default: '50%' },
  'retry-budget': { default: '20%' },
  concurrency: { examples: [50] },
  queue: { default: 100 },
  'queue-timeout': { default: '1s' },
  rate: { examples: ['100/min per user', '10/s per address, 1000/h per user'] },
  'canary-of': { examples: ['users'] },
  'canary-percent': { default: '0%', examples: ['5%'] },
  'canary-header': { examples: ['X-Canary=1'] },
  'mirror-to': { examples: ['users-next'] },
  'mirror-percent': { default: '100%', examples: ['10%'] },
  'slow-start': { default: '0s', examples: ['30s'] },
}

/** The JSON Schema of gateway.yaml: accepts what the loader accepts, as far as JSON Schema can say. */
export function gatewaySchema(): JsonSchema {
  const described = toJsonSchema(descriptionSchema)
  const properties = { urls: toJsonSchema(urls), ...(described.properties as Record<string, JsonSchema>) }
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'gateway.yaml',
    description: 'Routes and services of a munjigi gateway, besides what discovery tells it',
    type: ['object', 'null'],
    properties: {
      services: {
        description: 'services by name',
        type: ['object', 'null'],
        propertyNames: { pattern: serviceNamePattern.source },
        additionalProperties: { $ref: '#/definitions/service' },
      },
    },
    additionalProperties: false,
    definitions: {
      service: {
        type: ['object', 'null'],
        properties: Object.fromEntries(
          Object.entries(properties).map(([key, schema]) => {
            const { description, ...rest } = withPlaceholders(schema)
            return [key, { description, ...hints[key], ...rest }]
          }),
        ),
        additionalProperties: false,
      },
      placeholder,
    },
  }
}

function toJsonSchema(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-7',
    override({ zodSchema, jsonSchema }) {
      if (zodSchema instanceof z.ZodCodec && zodSchema.out instanceof z.ZodBoolean) {
        jsonSchema.pattern = flagPattern
      }
    },
  })
  return rest
}

/** Lets every single value be a placeholder too; a list is written out, its items may be. */
function withPlaceholders(schema: JsonSchema): JsonSchema {
  const { description, ...rest } = schema
  const about = description === undefined ? {} : { description }
  if (Array.isArray(rest.anyOf)) {
    const branches = rest.anyOf.map((branch: JsonSchema) =>
      branch.type === 'array' ? withPlaceholders(branch) : branch,
    )
    return { ...about, ...rest, anyOf: [...branches, { $ref: '#/definitions/placeholder' }] }
  }
  if (rest.type === 'array') return { ...schema, items: withPlaceholders(rest.items as JsonSchema) }
  return { ...about, anyOf: [rest, { $ref: '#/definitions/placeholder' }] }
}

/** As `npm run format` would leave it. */
async function rendered(): Promise<string> {
  const args = ['format', `--stdin-file-path=${fileName}`]
  const child = spawn(join('node_modules', '.bin', 'biome'), args, { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify(gatewaySchema(), null, 2))
  return await text(child.stdout)
}

/** Says so where the file is not as the schemas have it. */
export async function findStaleGatewaySchema(): Promise<string | undefined> {
  const now = await readFile(fileName, 'utf8').catch(() => '')
  return now === (await rendered()) ? undefined : `${fileName} is stale: node scripts/gateway-schema.ts`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await writeFile(fileName, await rendered())
}
