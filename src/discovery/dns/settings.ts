import { promises as dns } from 'node:dns'
import { isIP } from 'node:net'
import { z } from 'zod'
import { duration } from '../description.ts'
import type { SourceInput } from '../source.ts'

/** The source's own settings, for the documentation. */
export const dnsVariables = {
  DNS_REFRESH: {
    description: 'how often names are resolved again, from 1s to 1h; sooner where a record lives shorter',
    secret: false,
    default: '5s',
  },
  DNS_SERVER: {
    description:
      "DNS servers by address, with commas: 127.0.0.1:8600,[::1]:53. Unset: the system's resolver, with its hosts file",
    secret: false,
    default: '',
  },
} satisfies Record<string, { description: string; secret: boolean; default: string }>

export interface DnsOptions {
  readonly refreshMs: number
  /** Addresses, with ports where they are not 53; empty for the system's resolver. */
  readonly servers: readonly string[]
  readonly urls: SourceInput['urls']
}

const servers = z
  .string()
  .transform((text) => text.split(/[\s,]+/).filter(Boolean))
  .refine(areServers, 'expected addresses of DNS servers such as 127.0.0.1:8600 or [::1]:53, not names')

/** Reads the `DNS_*` variables; every issue's path ends in the variable's name. */
export const dnsSettings = z
  .object({
    environment: z.object({
      DNS_REFRESH: duration
        .pipe(z.number().refine((ms) => ms >= 1000 && ms <= 3_600_000, 'expected a duration from 1s to 1h'))
        .prefault(dnsVariables.DNS_REFRESH.default),
      DNS_SERVER: servers.default([]),
    }),
    urls: z.custom<SourceInput['urls']>(),
  })
  .transform(
    ({ environment, urls }): DnsOptions => ({
      refreshMs: environment.DNS_REFRESH,
      servers: environment.DNS_SERVER,
      urls,
    }),
  )

/** Whether c-ares would take them: it is the one that has to. */
function areServers(list: readonly string[]): boolean {
  try {
    new dns.Resolver().setServers(list)
    // Port 0 is taken without a word, as 53.
    return list.length > 0 && !list.some((server) => isIP(server) === 0 && /:0+$/.test(server))
  } catch {
    return false
  }
}
