/** Deeper is nothing that anybody means. */
const deepest = 32

/** JSON.parse for what others will act upon: see `parseStrictJson`. */
export type StrictJson =
  | { readonly value: unknown; readonly fault?: undefined }
  | { readonly value?: undefined; readonly fault: string }

/**
 * Reads JSON, and refuses what two readers may understand differently: a name that comes twice in one object
 * (RFC 8259 §4). Also refused: deep nesting. The fault never shows any of the text.
 */
export function parseStrictJson(text: string): StrictJson {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { fault: 'malformed JSON' }
  }
  const fault = scan(text)
  return fault === undefined ? { value } : { fault }
}

/** @param text valid JSON: only its strings and brackets need to be looked at */
function scan(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = []
  let last = ''
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:]/g)) {
    if (token === '{' || token === '[') {
      if (open.push(token === '{' ? new Set() : undefined) > deepest)
        return `more than ${deepest} levels deep`
    } else if (token === '}' || token === ']') open.pop()
    else if (token === ':') {
      const names = open.at(-1)!
      const name = JSON.parse(last) as string
      if (names.has(name)) return 'a name comes twice in one object'
      names.add(name)
    }
    last = token
  }
  return undefined
}
