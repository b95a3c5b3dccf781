import { isIP } from 'node:net'
import { z } from 'zod'

const hostMessage = 'expected a host name or an IP address, without scheme or port'

/** A host name (RFC 1123) or an IP address, IPv6 with or without brackets. */
export const host = z
  .string()
  .transform((text) => text.replace(/^\[(.*)\]$/, '$1'))
  .refine(
    (text) => isIP(text) !== 0 || /^(?=.*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(text),
    hostMessage,
  )

const portMessage = 'expected a port from 0 (any free one) to 65535'

export const port = z
  .string()
  .regex(/^\d{1,5}$/, portMessage)
  .transform(Number)
  .refine((value) => value <= 65535, portMessage)
