import { readFile, writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { authVariables } from '../services/auth/settings.ts'
import { runCommand } from '../src/commands/run.ts'
import { documentSettings } from '../src/config/setting-docs.ts'
import { discoverySources } from '../src/discovery/sources/index.ts'
import { providerKinds } from '../src/oauth/providers/index.ts'
import { renderConfiguration } from './configuration-docs.ts'
import { demoVariables } from './demo-settings.ts'

// Every page that lists the settings is written from the one table the program itself reads.

const settings = documentSettings(discoverySources, providerKinds, {
  'The example service': authVariables,
  'The demo provider': demoVariables,
})

/** .env.example: every variable, commented out, with its meaning and default. */
function envExample(): string {
  const lines = [
    '# Copy to .env and take the # off what should be other than its default (in parentheses).',
    '# The real environment wins over this file; an empty variable counts as unset.',
  ]
  let group = ''
  for (const setting of settings) {
    if (setting.group !== group) lines.push('', `## ${setting.group}`)
    group = setting.group
    const name = setting.name.replace('<NAME>', 'AUTH')
    lines.push('', `# ${setting.meaning} (${setting.default})`)
    lines.push(`# ${name}=${setting.example.replace('<PORT>', '8080')}`)
  }
  return `${lines.join('\n')}\n`
}

/** Those that somebody who has read no other page needs: the README shows them, docs/configuration.md has all. */
const mattersMost = [
  ...['NODE_ENV', 'PORT', 'PUBLIC_URL', 'TRUSTED_PROXIES', 'CORS_ORIGINS', 'WORKERS', 'ADMIN_TOKEN'],
  ...['DATABASE_URL', 'ENCRYPTION_KEYS', 'GATEWAY_CLIENTS', 'LOGIN_RETURN_URLS'],
  ...['GATEWAY_CONFIG', 'DISCOVERY', '<NAME>_SERVICE_URL', 'CONSUL_HTTP_ADDR'],
]

function readme(text: string): string {
  const cell = (part: string) => part.replaceAll('|', '\\|').replaceAll('<', '&lt;')
  const row = (wanted: string) => {
    const setting = settings.find(({ name }) => name === wanted)
    if (setting === undefined) throw new Error(`the README shows ${wanted}, which is no setting`)
    return `| \`${setting.name}\` | ${cell(setting.default)} | ${cell(setting.meaning)} |`
  }
  const table = ['| variable | default | meaning |', '| --- | --- | --- |', ...mattersMost.map(row)].join(
    '\n',
  )
  return text.replace(
    /(<!-- settings:.*-->\n)[\s\S]*(<!-- \/settings -->)/,
    (_, open, close) => `${open}${table}\n${close}`,
  )
}

/** What `munjigi` itself says when it is called wrongly. */
async function usage(text: string): Promise<string> {
  const lines: string[] = []
  const complain = (line: string) => void lines.push(line)
  await runCommand([], { env: {}, cwd: '.', print: complain, complain })
  const told = lines.slice(1).map((line) => line.trim())
  return text.replace(
    /(<!-- usage:.*-->\n)[\s\S]*(<!-- \/usage -->)/,
    (_, open, close) => `${open}\`\`\`\n${told.join('\n')}\n\`\`\`\n${close}`,
  )
}

const pages: Readonly<Record<string, (now: string) => string | Promise<string>>> = {
  '.env.example': envExample,
  'README.md': readme,
  'docs/commands.md': usage,
  'docs/configuration.md': (now) => renderConfiguration(now, settings),
}

/** Names the pages that are not as the table has them. */
export async function findStaleSettingsDocs(): Promise<string | undefined> {
  const stale: string[] = []
  for (const [name, render] of Object.entries(pages)) {
    const now = await readFile(name, 'utf8')
    if ((await render(now)) !== now) stale.push(`${name} is stale: node scripts/settings-docs.ts`)
  }
  return stale.length === 0 ? undefined : stale.join('\n')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [name, render] of Object.entries(pages))
    await writeFile(name, await render(await readFile(name, 'utf8')))
}
