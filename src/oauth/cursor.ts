import { invalidRequest } from '../tokens/body.ts'
import { afterFault } from './schemas.ts'

/** Where a page ended. */
export interface Cursor {
  readonly createdAt: Date
  readonly id: string
}

/** Opaque to whoever gets it; it opens nothing, since a list is always somebody's own. */
export function cursorOf({ createdAt, id }: Cursor): string {
  return Buffer.from(`${createdAt.getTime()} ${id}`).toString('base64url')
}

/** @throws GatewayError `invalid_request` */
export function readCursor(text: string): Cursor {
  const plain = Buffer.from(text, 'base64url').toString('latin1')
  const [, time, id] = /^(\d{1,14}) ([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})$/.exec(plain) ?? []
  if (time === undefined || id === undefined) throw invalidRequest(afterFault)
  return { createdAt: new Date(Number(time)), id }
}
