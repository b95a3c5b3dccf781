import { readFile, writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { authVariables } from '../services/auth/settings.ts'
import { documentSettings, type SettingDoc } from '../src/config/setting-docs.ts'
import { discoverySources } from '../src/discovery/sources/index.ts'
import { providerKinds } from '../src/oauth/providers/index.ts'
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

function readme(text: string): string {
  const cell = (part: string) => part.replaceAll('|', '\\|').replaceAll('<', '&lt;')
  const row = ({ name, default: value, meaning }: SettingDoc) =>
    `| \`${name}\` | ${cell(value)} | ${cell(meaning)} |`
  const table = ['| variable | default | meaning |', '| --- | --- | --- |', ...settings.map(row)].join('\n')
  return text.replace(
    /(<!-- settings:.*-->\n)[\s\S]*(<!-- \/settings -->)/,
    (_, open, close) => `${open}${table}\n${close}`,
  )
}

const pages: Readonly<Record<string, (now: string) => string>> = {
  '.env.example': envExample,
  'README.md': readme,
}

/** Names the pages that are not as the table has them. */
export async function findStaleSettingsDocs(): Promise<string | undefined> {
  const stale: string[] = []
  for (const [name, render] of Object.entries(pages)) {
    const now = await readFile(name, 'utf8')
    if (render(now) !== now) stale.push(`${name} is stale: node scripts/settings-docs.ts`)
  }
  return stale.length === 0 ? undefined : stale.join('\n')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [name, render] of Object.entries(pages))
    await writeFile(name, render(await readFile(name, 'utf8')))
}
