import type { ServerResponse } from 'node:http'

const fields = [
  ['RateLimit-Policy', 'ratelimit-policy'],
  ['RateLimit', 'ratelimit'],
] as const

/**
 * RFC 9651 §3.1, with items that are strings or numbers, as drafts of the fields have had them. Older drafts and other
 * proxies have another form (`limit=10, remaining=5`), and a list that cannot be read to its end is nobody's.
 */
const item = '(?:"(?:[ !#-\\[\\]-~]|\\\\["\\\\])*"|\\d{1,15})'
const parameter = ' *; *[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[ !#-\\[\\]-~]|\\\\["\\\\])*"|[A-Za-z0-9*.:/+=?-]+))?'
const list = new RegExp(`^${item}(?:${parameter})*(?:[ \\t]*,[ \\t]*${item}(?:${parameter})*)*$`)

/**
 * A house may have limits of its own: both fields are lists, and what it says of itself follows what the gateway says.
 * Without this its words would take the place of the gateway's. What is no list of the kind is left out.
 *
 * @param head flat list of lower-case names and values, changed in place
 * @param outgoing which has the gateway's fields set already
 */
export function joinRateFields(head: string[], outgoing: ServerResponse): void {
  for (const [name, lowerName] of fields) {
    let joined = outgoing.getHeader(name)
    if (joined === undefined) continue
    for (let i = 0; i < head.length; ) {
      if (head[i] !== lowerName) {
        i += 2
        continue
      }
      const [, value = ''] = head.splice(i, 2)
      if (list.test(value)) joined = `${joined}, ${value}`
    }
    outgoing.setHeader(name, joined)
  }
}
