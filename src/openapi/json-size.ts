/** How much a JSON text holds, found without building any of it. */
export interface JsonSize {
  /** Commas and opening brackets: at least as many as it has members and elements. */
  readonly values: number
  /** How deep its brackets are nested. */
  readonly depth: number
}

/**
 * Counts what parsing a JSON text would build. `JSON.parse` runs in V8's native code, which no heap limit of a thread
 * stops: one that does not fit ends the whole process. So it is asked only for what is known to fit.
 *
 * @param bytes of UTF-8; whether it is JSON at all need not be known
 */
export function jsonSize(bytes: Uint8Array): JsonSize {
  let values = 0
  let depth = 0
  let deepest = 0
  let inString = false
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i]
    if (inString) {
      if (byte === backslash) i += 1
      else if (byte === quote) inString = false
    } else if (byte === quote) inString = true
    else if (byte === comma) values += 1
    else if (byte === openBrace || byte === openBracket) {
      values += 1
      depth += 1
      if (depth > deepest) deepest = depth
    } else if (byte === closeBrace || byte === closeBracket) depth -= 1
  }
  return { values, depth: deepest }
}

const quote = 0x22
const comma = 0x2c
const openBracket = 0x5b
const backslash = 0x5c
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d
