import { parse } from 'yaml'

/** YAML takes a hundred times the time and memory of JSON. */
const maxYamlBytes = 2 * 1024 * 1024

/**
 * Reads YAML 1.2 as what JSON can show of it.
 *
 * @param maxBytes of the JSON: aliases multiply what they stand for
 * @returns JSON in UTF-8, or why there is none
 */
export function yamlToJson(bytes: Uint8Array, maxBytes: number): Uint8Array | string {
  if (bytes.length > maxYamlBytes) return `is YAML of more than ${maxYamlBytes} bytes; JSON may be larger`
  let value: unknown
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    // Whether a key is there twice takes time by the square of their number; as in JSON the last one counts.
    value = parse(text, { maxAliasCount: 100, uniqueKeys: false, logLevel: 'silent' })
  } catch {
    return 'is not valid YAML'
  }
  const size = createSize(maxBytes)
  if (!size.fits(value, 0)) return `is YAML that stands for more than ${maxBytes} bytes, or contains itself`
  return Buffer.from(JSON.stringify(value) ?? 'null')
}

/** Adds up what a value would take as JSON, every time an alias stands for it. */
function createSize(maxBytes: number) {
  let left = maxBytes
  function fits(value: unknown, depth: number): boolean {
    left -= typeof value === 'string' ? value.length + 3 : 8
    if (left < 0 || depth > 1000) return false
    if (typeof value !== 'object' || value === null) return true
    for (const [key, member] of Object.entries(value)) {
      if (!Array.isArray(value)) left -= key.length
      if (!fits(member, depth + 1)) return false
    }
    return true
  }
  return { fits }
}
