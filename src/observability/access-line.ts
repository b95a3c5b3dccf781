import type { Config } from '../config/config.ts'
import type { AccessEntry } from './log.ts'

/** A line that a caller could make longer than a pipe keeps together would tear another worker's in two. */
const mostPathLength = 1500
const mostSubjectLength = 200

/**
 * The members of an access line as JSON, without the opening bracket. They are written one by one: what is not named here
 * cannot come into the log, whatever an entry may have got hold of.
 *
 * @param isShort whether the line must be one that a pipe keeps together
 */
export function accessMembers(entry: AccessEntry, paths: Config['logPaths'], isShort: boolean): string {
  const { traceId, route, path, subject, bytesReceived, service, instance, attempts, cache, errorCode } =
    entry
  // By hand: JSON.stringify took half as long again, of a line that every request pays for. Few pieces, for the same reason.
  let text = `"requestId":"${escaped(entry.requestId)}`
  if (traceId !== undefined) text += `","traceId":"${escaped(traceId)}`
  text += `","method":"${escaped(entry.method)}`
  if (route !== undefined) text += `","route":"${escaped(route)}`
  if (paths !== 'route') text += `","path":"${isShort ? shortened(path, mostPathLength) : escaped(path)}`
  text += `","status":${entry.status},"durationMs":${twoDecimals(entry.durationMs)},"clientAddress":"${escaped(entry.clientAddress)}`
  if (subject !== undefined)
    text += `","subject":"${isShort ? shortened(subject, mostSubjectLength) : escaped(subject)}`
  text += '"'
  if (bytesReceived !== undefined) text += `,"bytesReceived":${bytesReceived}`
  text += `,"bytesSent":${entry.bytesSent}`
  if (service !== undefined) text += `,"service":"${escaped(service)}"`
  if (instance !== undefined) text += `,"instance":"${escaped(instance)}"`
  if (attempts !== undefined) text += `,"attempts":${attempts}`
  if (cache !== undefined) text += `,"cache":"${escaped(cache)}"`
  if (errorCode !== undefined) text += `,"errorCode":"${escaped(errorCode)}"`
  return `${text}}`
}

/** What may have to be escaped in JSON, a lone half of a surrogate pair among it. */
const unusual = /[^\x20\x21\x23-\x5b\x5d-\x7e]/

const escaped = (text: string) => (unusual.test(text) ? JSON.stringify(text).slice(1, -1) : text)

const hundredths = Array.from({ length: 100 }, (_, n) => String(n / 100).slice(1))

/** As JSON has it. Whole numbers are written in a third of the time that others take. */
function twoDecimals(value: number): string {
  const rounded = Math.round(value * 100)
  const whole = Math.floor(rounded / 100)
  return `${whole}${hundredths[rounded - whole * 100]}`
}

/** @returns no more than twice as many bytes as characters that may be kept: a control character takes six, escaped */
function shortened(text: string, mostLength: number): string {
  for (let length = mostLength; ; length = Math.floor(length / 2)) {
    const json = escaped(text.length > length ? `${text.slice(0, length)}…` : text)
    if (Buffer.byteLength(json) <= 2 * mostLength + 3) return json
  }
}

/** `→ POST /api/user/login  auth@127.0.0.1:8001  200  3.2 ms` */
export function accessText(entry: AccessEntry, paths: Config['logPaths']): string {
  const { method, service, instance, status, durationMs, attempts = 1, cache, errorCode } = entry
  const columns = [
    `→ ${method} ${paths === 'full' ? entry.path : (entry.route ?? '-')}`,
    service === undefined ? 'gateway' : `${service}@${instance ?? '-'}`,
    String(status),
    `${durationMs.toFixed(1)} ms`,
  ]
  if (cache !== undefined && cache !== 'miss' && cache !== 'bypass') columns.push(`cache ${cache}`)
  if (attempts > 1) columns.push(`attempt ${attempts}`)
  if (errorCode !== undefined) columns.push(errorCode)
  return columns.join('  ')
}
