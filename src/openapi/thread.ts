import { hash } from 'node:crypto'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { gunzipSync, gzipSync } from 'node:zlib'
import { jsonSize } from './json-size.ts'
import { type MergeJob, mergeDocuments } from './merge.ts'
import { type Reading, readDocument } from './read-document.ts'
import type { Job, RawDocument, ServedDocument, ThreadMessage } from './workshop.ts'
import { yamlToJson } from './yaml.ts'

/** The thread of workshop.ts: jobs come as messages, one at a time, and are answered in turn. It keeps nothing. */

/** What may be parsed: some 90 bytes of heap each at the worst, and GitHub's document has half a million. */
const maxValues = 1_500_000
/** Deeper than any document a person wrote; far less than what a recursive walk can do. */
const maxDepth = 200

// Requests go first. On Linux a priority is that of the thread that asks for it; elsewhere it would be the whole process's.
if (process.platform === 'linux') setPriority(10)
parentPort?.on('message', (job: Job) => {
  const answer = attempt(job)
  const moved = 'result' in answer && 'body' in answer.result ? [answer.result.body, answer.result.gzip] : []
  say(
    answer,
    moved.map(({ buffer }) => buffer),
  )
})
say('started')

function say(message: ThreadMessage, transfer: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer)
}

function attempt(job: Job): Exclude<ThreadMessage, 'started'> {
  try {
    return { result: job.kind === 'read' ? read(job.raw) : merge(job.job) }
  } catch (error) {
    return { failed: `failed (${error instanceof Error ? error.name : 'unknown'})` }
  }
}

function read(raw: RawDocument): Reading {
  const sent = Buffer.concat(raw.blocks)
  const text = raw.coding === 'gzip' ? inflate(sent, raw.maxBytes) : sent
  if (!(text instanceof Uint8Array)) return text
  const json = raw.syntax === 'yaml' ? yamlToJson(text, raw.maxBytes) : text
  if (typeof json === 'string') return invalid(json)
  const { values, depth } = jsonSize(json)
  if (depth > maxDepth) return invalid(`is nested more than ${maxDepth} levels deep`)
  if (values > maxValues) return invalid(`has more than ${maxValues} members and elements`)
  const reading = readDocument(json, raw.location)
  if (reading.status !== 'ok') return reading
  return { ...reading, document: shared(reading.document), outline: shared(reading.outline) }
}

function merge(job: MergeJob): ServedDocument {
  const body = mergeDocuments(job)
  return { body, gzip: new Uint8Array(gzipSync(body)), hash: hash('sha256', body, 'base64url') }
}

function inflate(bytes: Uint8Array, maxOutputLength: number): Uint8Array | Reading {
  try {
    return gunzipSync(bytes, { maxOutputLength })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ERR_BUFFER_TOO_LARGE') return invalid(`inflates to more than ${maxOutputLength} bytes`)
    return invalid('came with the content coding "gzip", but is not valid gzip')
  }
}

/** Memory that the main thread and this one have in common: to hand it over, or back for a merge, copies nothing. */
function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length))
  copy.set(bytes)
  return copy
}

const invalid = (reason: string): Reading => ({ status: 'invalid', reason })
