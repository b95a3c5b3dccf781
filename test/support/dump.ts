import { Client } from 'pg'

/** Every value of every table of a database as text, and what the server shows of running statements. */
export async function dumpDatabase(url: string): Promise<string> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `select quote_ident(table_schema) || '.' || quote_ident(table_name) as name from information_schema.tables
      where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`,
    )
    const texts: string[] = []
    for (const { name } of [...tables, { name: 'pg_stat_activity' }]) {
      const { rows } = await client.query<{ row: string }>(`select t::text as row from ${name} t`)
      texts.push(name, ...rows.map(({ row }) => row))
    }
    return texts.join('\n')
  } finally {
    await client.end()
  }
}

export interface Secret {
  readonly name: string
  readonly text: string
  /** What the text stands for, where it is an encoding itself. */
  readonly bytes?: Buffer
}

/** The secrets that a text shows: as they are, in hex, in base64 or base64url, also in the middle of something else. */
export function secretsIn(text: string, secrets: readonly Secret[]): readonly string[] {
  const valuesOf = ({ text: plain, bytes }: Secret) => [Buffer.from(plain), ...(bytes ? [bytes] : [])]
  const shown = new Set([
    ...found(text, secrets, (secret) => [secret.text]),
    ...found(text.toLowerCase(), secrets, (secret) => valuesOf(secret).map((value) => value.toString('hex'))),
    // One alphabet, so that both are found.
    ...found(text.replaceAll('-', '+').replaceAll('_', '/'), secrets, (secret) =>
      valuesOf(secret).flatMap((value) => [0, 1, 2].map((offset) => base64Within(value, offset))),
    ),
  ])
  return secrets.filter((secret) => shown.has(secret)).map(({ name }) => name)
}

/** How many characters decide where to look closer. */
const beginning = 12

/** One pass over the text, however many the secrets are. */
function found(text: string, secrets: readonly Secret[], formsOf: (secret: Secret) => string[]): Set<Secret> {
  const shown = new Set<Secret>()
  const byBeginning = new Map<string, { readonly secret: Secret; readonly form: string }[]>()
  for (const secret of secrets) {
    for (const form of formsOf(secret)) {
      if (form.length < beginning) {
        if (text.includes(form)) shown.add(secret)
        continue
      }
      const first = form.slice(0, beginning)
      byBeginning.set(first, [...(byBeginning.get(first) ?? []), { secret, form }])
    }
  }
  if (byBeginning.size === 0) return shown
  for (let at = 0; at + beginning <= text.length; at += 1) {
    for (const { secret, form } of byBeginning.get(text.slice(at, at + beginning)) ?? []) {
      if (text.startsWith(form, at)) shown.add(secret)
    }
  }
  return shown
}

/** The characters of its base64 that do not depend on what comes before and after. */
function base64Within(value: Buffer, offset: number): string {
  const text = Buffer.concat([Buffer.alloc(offset), value])
    .toString('base64')
    .replace(/=+$/, '')
  const uncertainEnd = (offset + value.length) % 3 === 0 ? 0 : 1
  return text.slice(Math.ceil((offset * 8) / 6), text.length - uncertainEnd)
}
