import { createHash } from 'node:crypto'
import { Agent, type Dispatcher, request } from 'undici'
import type { DocumentLimits } from './limits.ts'
import type { RawDocument } from './workshop.ts'

/** Why a service's document could not be had: words that may be shown to anybody, without an address. */
export class DocumentUnavailable extends Error {
  override name = 'DocumentUnavailable'
}

/** What a server said of the document it sent, to ask for it again only where it has changed (RFC 9110 §8.8). */
export interface Validators {
  readonly etag: string | undefined
  readonly lastModified: string | undefined
}

/** A document as it came, or that it is the one whose validators were sent. */
export type Fetched =
  | 'unchanged'
  | {
      readonly raw: RawDocument
      /** Of the bytes as they came. */
      readonly hash: string
      readonly validators: Validators
    }

export type FetchLimits = Pick<DocumentLimits, 'timeoutMs' | 'maxBytes'>

/** The connections documents are fetched over: short-lived, never those of proxied requests. */
export function createDocumentAgent({ timeoutMs, maxBytes }: FetchLimits): Dispatcher {
  return new Agent({
    keepAliveTimeout: 1000,
    maxResponseSize: maxBytes,
    connect: { timeout: timeoutMs },
  })
}

/** Where a document is. */
export interface DocumentPlace {
  readonly url: URL
  /** What the server is called, where its address is not its name: see `Instance`. */
  readonly serverName?: string | undefined
}

/**
 * Fetches one document. Redirects are not followed: they would let a service make the gateway ask wherever it
 * likes.
 *
 * @param known what the same place gave with the document that is had already
 * @throws DocumentUnavailable, or the signal's reason where `signal` aborts
 */
export async function fetchDocument(
  { url, serverName }: DocumentPlace,
  known: Validators | undefined,
  agent: Dispatcher,
  limits: FetchLimits,
  signal: AbortSignal,
): Promise<Fetched> {
  const deadline = AbortSignal.timeout(limits.timeoutMs)
  try {
    const { statusCode, headers, body } = await request(url, {
      dispatcher: agent,
      headers: { ...usualHeaders, ...hostOf(url, serverName), ...conditions(known) },
      signal: AbortSignal.any([deadline, signal]),
    })
    const asked = known?.etag ?? known?.lastModified
    if (statusCode === 304 && asked !== undefined) {
      await body.dump()
      return 'unchanged'
    }
    const form = judge(statusCode, headers)
    if (typeof form === 'string') {
      // Nobody will read it; destroying it closes the connection rather than receive the rest.
      body.on('error', () => {}).destroy()
      throw new DocumentUnavailable(form)
    }
    const { blocks, hash } = await receive(body)
    return {
      raw: { ...form, location: url.pathname, blocks, maxBytes: limits.maxBytes },
      hash,
      validators: validatorsOf(headers),
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw error instanceof DocumentUnavailable
      ? error
      : new DocumentUnavailable(explain(error, limits, deadline))
  }
}

const usualHeaders = {
  accept: 'application/vnd.oai.openapi+json, application/json, application/yaml;q=0.5',
  'accept-encoding': 'gzip',
  'user-agent': 'munjigi',
}

/** Names the server in TLS too: undici takes the name whose certificate it expects from `Host`. */
function hostOf({ port }: URL, serverName: string | undefined): Record<string, string> {
  if (serverName === undefined) return {}
  return { host: port === '' ? serverName : `${serverName}:${port}` }
}

function conditions(known: Validators | undefined): Record<string, string> {
  // RFC 9110 §13.1.3: If-Modified-Since is ignored beside If-None-Match.
  if (known?.etag !== undefined) return { 'if-none-match': known.etag }
  return known?.lastModified === undefined ? {} : { 'if-modified-since': known.lastModified }
}

function validatorsOf(headers: NodeJS.Dict<string | string[]>): Validators {
  const one = (value: string | string[] | undefined) =>
    typeof value === 'string' && value.length <= 256 ? value : undefined
  return { etag: one(headers.etag), lastModified: one(headers['last-modified']) }
}

/** How the body is to be read, or why it is not. */
function judge(
  status: number,
  headers: NodeJS.Dict<string | string[]>,
): Pick<RawDocument, 'syntax' | 'coding'> | string {
  if (status === 304)
    return 'was answered with status 304, though nothing was sent that it could be the same as'
  if (status >= 300 && status < 400) return `was answered with a redirect (${status}), which is not followed`
  if (status !== 200) return `was answered with status ${status}`
  const coding = String(headers['content-encoding'] || 'identity').toLowerCase()
  if (coding !== 'identity' && coding !== 'gzip')
    return `came with the content coding ${shown(coding)}, which was not asked for`
  const type = String(headers['content-type'] ?? '')
    .split(';')[0]!
    .trim()
  if (/^application\/(?:[\w.!#$&^-]+\+)?json$/i.test(type)) return { syntax: 'json', coding }
  // RFC 9512, and what it was called before.
  if (/^(?:application|text)\/(?:[\w.!#$&^-]+\+|x-|vnd\.)?yaml$/i.test(type))
    return { syntax: 'yaml', coding }
  return type === '' ? 'came without a content type' : `came as ${shown(type)}; only JSON and YAML are read`
}

/** What one block holds: copied chunk by chunk, so that no turn of the event loop copies megabytes. */
const blockBytes = 256 * 1024

/** Receives a body into blocks that nobody else has a view of. */
async function receive(body: AsyncIterable<Uint8Array>) {
  const digest = createHash('sha256')
  const blocks: Uint8Array<ArrayBuffer>[] = []
  let block = new Uint8Array(blockBytes)
  let filled = 0
  for await (const chunk of body) {
    digest.update(chunk)
    for (let from = 0; from < chunk.length; ) {
      if (filled === block.length) {
        blocks.push(block)
        block = new Uint8Array(blockBytes)
        filled = 0
      }
      const part = chunk.subarray(from, from + block.length - filled)
      block.set(part, filled)
      filled += part.length
      from += part.length
    }
  }
  return { blocks: [...blocks, block.slice(0, filled)], hash: digest.digest('base64') }
}

function explain(error: unknown, limits: FetchLimits, deadline: AbortSignal): string {
  if (deadline.aborted) return `was not there within ${limits.timeoutMs / 1000} s`
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return `is larger than ${limits.maxBytes} bytes`
  return `cannot be fetched${/^[A-Z_]+$/.test(code) ? ` (${code})` : ''}`
}

const shown = (text: unknown) => JSON.stringify(String(text).slice(0, 60))
