/**
 * Rows of cells as lines of aligned columns, two spaces apart; a column that is empty throughout is left out.
 * @param indent what every line begins with
 */
export function alignColumns(rows: readonly (readonly string[])[], indent = ''): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    }
  }
  return rows.map((row) => {
    const cells = row.map((cell, column) => cell.padEnd(widths[column] ?? 0))
    return `${indent}${cells.filter((_, column) => widths[column] !== 0).join('  ')}`.trimEnd()
  })
}

/** `15 s`, `1.5 s`, `250 ms`, `12 min`: as people read it. */
export function spokenDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${Math.round(ms / 100) / 10} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  return `${Math.round(ms / 3_600_000)} h`
}

/** What comes from elsewhere as it may be printed: nothing in it moves a terminal's cursor. */
export const printable = (text: string) => text.replace(/\p{Cc}/gu, '?')
