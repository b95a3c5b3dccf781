import { GatewayError } from '../errors.ts'

/** Nothing in here that two servers could read differently: the path of nearly every request. */
const plainPath = /^(?:\/(?!\.)[A-Za-z0-9_~!$&'()*+,=:@.-]+)+\/?$/

/**
 * Checks a request target and gives it in the one form that is matched, authorised and forwarded alike.
 *
 * Refused as ambiguous, since a house might resolve them to another path than the one that was matched:
 * `.` and `..` segments (also encoded, also with path parameters), segments that are empty or nothing but path
 * parameters, backslashes, encoded slashes, backslashes and control characters, the same twice encoded or in
 * overlong UTF-8, and anything that is not a URI character.
 * Percent-encoded unreserved characters are decoded (RFC 3986 §6.2.2.2): `/api/%75sers` is `/api/users`.
 * Of the query only its characters are checked: it is no part of the path to anybody.
 *
 * @param target as it stands in the request line: origin-form, or absolute-form (RFC 9112 §3.2.2)
 * @returns the target in origin-form, and its path without the query
 * @throws GatewayError `ambiguous_path` (400)
 */
export function checkTarget(target: string): { readonly target: string; readonly path: string } {
  const origin = target.charCodeAt(0) === 47 ? target : originForm(target)
  const queryAt = origin.indexOf('?')
  const path = queryAt === -1 ? origin : origin.slice(0, queryAt)
  if (queryAt !== -1 && /[^!-~]|#/.test(origin))
    throw ambiguous('has characters that are not allowed in a URI')
  if (path === '/' || plainPath.test(path)) return { target: origin, path }
  const normalized = normalize(path)
  return { target: queryAt === -1 ? normalized : normalized + origin.slice(queryAt), path: normalized }
}

function originForm(target: string): string {
  const match = /^https?:\/\/[^/?#\\@]+(?<rest>[/?].*)?$/i.exec(target)
  if (match === null) throw ambiguous('is neither a path nor an http URL')
  const rest = match.groups?.rest ?? '/'
  return rest.startsWith('?') ? `/${rest}` : rest
}

function normalize(path: string): string {
  if (/[^!-~]/.test(path)) throw ambiguous('has characters that are not allowed in a URI')
  if (/[\\#"<>^`{|}]/.test(path)) throw ambiguous('has characters that must be percent-encoded')
  if (/%(?![0-9a-f]{2})/i.test(path)) throw ambiguous('has an incomplete percent-encoding')
  const decoded = path.replace(/%[0-9a-f]{2}/gi, (escaped) => {
    const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
    return /[A-Za-z0-9._~-]/.test(character) ? character : escaped.toUpperCase()
  })
  // Judged once decoded: `%25%32%66` is an encoded slash as well, one step further away.
  if (/%(?:25)?(?:2F|5C)/i.test(decoded)) throw ambiguous('has an encoded slash or backslash')
  if (/%(?:25)?(?:[01].|7F)/i.test(decoded)) throw ambiguous('has an encoded control character')
  if (/%25(?:2E|25|3B)/i.test(decoded)) throw ambiguous('is encoded twice')
  // C0 AE and its longer forms are no UTF-8, but a dot to decoders that forget to say so.
  if (/%(?:C[01]%[89AB].|E0%[89].|F0%8.)/.test(decoded)) throw ambiguous('has an overlong UTF-8 encoding')
  // A house that knows path parameters drops them, literal or encoded: `..;x` is `..`, `/;x/` is `//`.
  if (/\/(?:\/|;|%3B)/.test(decoded)) throw ambiguous('has an empty segment')
  if (/\/\.{1,2}(?:\/|;|%3B|$)/.test(decoded)) throw ambiguous('has a . or .. segment')
  return decoded
}

function ambiguous(why: string): GatewayError {
  return new GatewayError('ambiguous_path', { detail: `The request path ${why}.` })
}
