import { isObject, type Json } from './json.ts'

/** The path of a document's first server, which its paths are relative to: `https://x/v1/` → `/v1`. */
export function basePath(servers: Json | undefined): string {
  const first = Array.isArray(servers) ? (servers[0] as Json) : undefined
  if (!isObject(first) || typeof first.url !== 'string') return ''
  const variables = isObject(first.variables) ? first.variables : {}
  const url = first.url.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const variable = Object.hasOwn(variables, name) ? variables[name] : undefined
    return isObject(variable) ? String(variable.default ?? '') : ''
  })
  return URL.parse(url, 'http://house/')?.pathname.replace(/\/+$/, '') ?? ''
}
