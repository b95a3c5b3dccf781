import { isIP } from 'node:net'
import type { Instance } from '../source.ts'

type Scheme = 'http:' | 'https:'

/** One of a service's URLs, by what has to be asked of DNS. */
export type Target =
  | { readonly kind: 'address'; readonly instance: Instance }
  | { readonly kind: 'host'; readonly scheme: Scheme; readonly host: string; readonly port: string }
  | { readonly kind: 'srv'; readonly scheme: Scheme; readonly host: string }

/** What DNS has to be asked about: every target but the literal addresses. */
export type Name = Exclude<Target, { kind: 'address' }>

/** Reads a URL of SourceInput: `http://auth:8000`, `http://10.0.0.1:8000` or `srv+http://_http._tcp.auth`. */
export function parseTarget(text: string): Target {
  const url = new URL(text)
  if (isSrvUrl(text)) {
    return { kind: 'srv', scheme: url.protocol.slice('srv+'.length) as Scheme, host: url.hostname }
  }
  const scheme = url.protocol as Scheme
  if (isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0) {
    return { kind: 'address', instance: { id: url.origin, origin: url.origin } }
  }
  return { kind: 'host', scheme, host: url.hostname, port: url.port }
}

export function isSrvUrl(text: string): boolean {
  return /^srv\+https?:/i.test(text)
}

/** The instance at one of a name's addresses; `port` is empty for the scheme's own. */
export function instanceAt(name: Name, address: string, port: string): Instance {
  const host = isIP(address) === 6 ? `[${address}]` : address
  const { origin } = new URL(`${name.scheme}//${host}${port && `:${port}`}`)
  return name.scheme === 'https:'
    ? { id: origin, origin, serverName: certifiedName(name) }
    : { id: origin, origin }
}

/**
 * The name that a certificate must bear is the one that was configured, never one that DNS answered (RFC 9525
 * §6.1): for `_https._tcp.auth.example` that is `auth.example`, not the target of the SRV record.
 */
function certifiedName({ kind, host }: Name): string {
  return kind === 'srv' ? host.replace(/^(?:_[^.]+\.)+/, '') : host
}
