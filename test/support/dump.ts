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
  const lower = text.toLowerCase()
  // One alphabet, so that both are found.
  const base64 = text.replaceAll('-', '+').replaceAll('_', '/')
  return secrets.flatMap(({ name, text: plain, bytes }) => {
    const values = [Buffer.from(plain), ...(bytes ? [bytes] : [])]
    const shows =
      text.includes(plain) ||
      values.some((value) => lower.includes(value.toString('hex'))) ||
      values.some((value) => [0, 1, 2].some((offset) => base64.includes(base64Within(value, offset))))
    return shows ? [name] : []
  })
}

/** The characters of its base64 that do not depend on what comes before and after. */
function base64Within(value: Buffer, offset: number): string {
  const text = Buffer.concat([Buffer.alloc(offset), value])
    .toString('base64')
    .replace(/=+$/, '')
  const uncertainEnd = (offset + value.length) % 3 === 0 ? 0 : 1
  return text.slice(Math.ceil((offset * 8) / 6), text.length - uncertainEnd)
}
