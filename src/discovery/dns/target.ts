import { isIP } from 'node:net'
import type { Instance } from '../source.ts'
import { instanceWeight, splitWeight } from '../weighted-url.ts'

type Scheme = 'http:' | 'https:'

/** One of a service's URLs, by what has to be asked of DNS. */
export type Target =
  | { readonly kind: 'address'; readonly instance: Instance }
  | (Named & { readonly kind: 'host'; readonly port: string })
  | (Named & { readonly kind: 'srv' })

interface Named {
  readonly scheme: Scheme
  readonly host: string
  /** Of every address of it. */
  readonly weight: number
}

/** What DNS has to be asked about: every target but the literal addresses. */
export type Name = Exclude<Target, { kind: 'address' }>

/** Reads a URL of SourceInput: `http://auth:8000`, `http://10.0.0.1:8000; weight=3` or `srv+http://_http._tcp.auth`. */
export function parseTarget(text: string): Target {
  const { url: place = text, weight = 1 } = splitWeight(text) ?? {}
  const url = new URL(place)
  if (isSrvUrl(text)) {
    return { kind: 'srv', scheme: url.protocol.slice('srv+'.length) as Scheme, host: url.hostname, weight }
  }
  const scheme = url.protocol as Scheme
  if (isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0) {
    return { kind: 'address', instance: { id: url.origin, origin: url.origin, ...instanceWeight(weight) } }
  }
  return { kind: 'host', scheme, host: url.hostname, port: url.port, weight }
}

export function isSrvUrl(text: string): boolean {
  return /^srv\+https?:/i.test(text)
}

/** The instance at one of a name's addresses; `port` is empty for the scheme's own, `weight` that of its record. */
export function instanceAt(name: Name, address: string, port: string, weight = 1): Instance {
  const host = isIP(address) === 6 ? `[${address}]` : address
  const { origin } = new URL(`${name.scheme}//${host}${port && `:${port}`}`)
  return {
    ...{ id: origin, origin },
    ...(name.scheme === 'https:' && { serverName: certifiedName(name) }),
    ...instanceWeight(name.weight * weight),
  }
}

/**
 * The name that a certificate must bear is the one that was configured, never one that DNS answered (RFC 9525
 * §6.1): for `_https._tcp.auth.example` that is `auth.example`, not the target of the SRV record.
 */
function certifiedName({ kind, host }: Name): string {
  return kind === 'srv' ? host.replace(/^(?:_[^.]+\.)+/, '') : host
}
