import { z } from 'zod'
import { host, port } from './address-schemas.ts'
import type { Setting } from './settings.ts'

const tokenMessage = 'expected letters, digits and -._~+/ (RFC 6750), without spaces'

/** Where the gateway says how it is doing, and to whom. */
export const adminSettings = {
  ADMIN_PORT: {
    group: 'Admin',
    meaning: 'port of the admin endpoints (/admin/*, /metrics), which in production is never the public one',
    schema: port,
    unset: 'the main port in development, 9090 in production',
  },
  ADMIN_HOST: {
    group: 'Admin',
    meaning: 'host name or address that ADMIN_PORT is listened on at',
    schema: host,
    default: '127.0.0.1',
  },
  ADMIN_TOKEN: {
    group: 'Admin',
    meaning:
      'who bears it may ask the admin endpoints from elsewhere than this machine; ' +
      'so may who bears an access token of the gateway with the scope admin',
    schema: z.string().regex(/^[A-Za-z0-9._~+/-]+=*$/, tokenMessage),
    unset: 'no such token',
    secret: true,
  },
} as const satisfies Record<string, Setting>
