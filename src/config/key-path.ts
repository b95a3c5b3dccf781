const keyOnLine = /^(\s*)(?:-\s+)?["']?([A-Za-z0-9_.-]+)["']?\s*:(?:\s+(.*)|)$/

/**
 * The path of keys that leads to a line of text that is not YAML, judged by its indentation as a reader would:
 * `services.auth.path`, or empty where no key leads there.
 *
 * @param line counted from 1
 */
export function keyPathByIndent(text: string, line: number): string {
  const keys: string[] = []
  let below = Number.POSITIVE_INFINITY
  for (const written of text.split(/\r?\n/).slice(0, line).reverse()) {
    const [, space = '', key, value = ''] = keyOnLine.exec(written) ?? []
    if (key === undefined) continue
    const hasValue = !/^(?:[#&!].*)?$/.test(value)
    if (keys.length > 0 && (hasValue || space.length >= below || space.includes('\t'))) continue
    keys.unshift(key)
    // How far a tab goes nobody knows: beneath whatever may hold a key.
    if (!space.includes('\t')) below = space.length
    if (below === 0) break
  }
  return keys.join('.')
}
