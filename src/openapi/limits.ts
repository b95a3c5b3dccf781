/** What is held off of the documents that services publish. docs/openapi.md tells of each. */
export interface DocumentLimits {
  /** Between two fetches of a document that is there. */
  readonly intervalMs: number
  /** Before the first repetition of a failed fetch; doubles, with jitter, up to the interval. */
  readonly retryMs: number
  /** From the request to the last byte. */
  readonly timeoutMs: number
  /** Of one document, as it is sent and once it is inflated. GitHub's has 13 million. */
  readonly maxBytes: number
  /** Of all documents that are kept, as they are merged. */
  readonly maxTotalBytes: number
  /** Documents that are fetched or wait to be read, at once. */
  readonly concurrency: number
}

export const documentLimits: DocumentLimits = {
  intervalMs: 60_000,
  retryMs: 1000,
  timeoutMs: 10_000,
  maxBytes: 32 * 1024 * 1024,
  maxTotalBytes: 96 * 1024 * 1024,
  concurrency: 4,
}
