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
  const { path, subject } = entry
  return JSON.stringify({
    requestId: entry.requestId,
    traceId: entry.traceId,
    method: entry.method,
    route: entry.route,
    path: paths === 'route' ? undefined : isShort ? cut(path, mostPathLength) : path,
    status: entry.status,
    durationMs: entry.durationMs,
    clientAddress: entry.clientAddress,
    subject: isShort && subject !== undefined ? cut(subject, mostSubjectLength) : subject,
    bytesReceived: entry.bytesReceived,
    bytesSent: entry.bytesSent,
    service: entry.service,
    instance: entry.instance,
    attempts: entry.attempts,
    cache: entry.cache,
    errorCode: entry.errorCode,
  }).slice(1)
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

const cut = (text: string, most: number) => (text.length > most ? `${text.slice(0, most)}…` : text)
