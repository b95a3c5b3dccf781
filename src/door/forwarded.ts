import type { IncomingMessage } from 'node:http'
import { BlockList, isIPv4, isIPv6, SocketAddress } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { RequestTrace } from '../observability/trace.ts'
import type { ForwardedIdentity } from '../proxy/headers.ts'

/** Who is at the other end, as far as it can be believed. */
export interface Caller {
  /** An IP address, or `unknown` (RFC 7239 §6.2). */
  readonly address: string
  readonly proto: 'http' | 'https'
  readonly host: string | undefined
  /** The proxies in between, client first, that passed the request on; `X-Forwarded-For` for the house. */
  readonly chain: string
}

export type IdentifyCaller = (request: IncomingMessage) => Caller

/**
 * Works out the caller. `X-Forwarded-*` are believed only when the connection comes from a trusted proxy; then
 * the client is the last address in the list that is not itself a trusted proxy, since everything to the left
 * of it may be invented.
 *
 * @param trustedProxies addresses and CIDRs, checked by the configuration
 */
export function createIdentifyCaller(trustedProxies: readonly string[]): IdentifyCaller {
  const trusted = new BlockList()
  for (const entry of trustedProxies) {
    const [address = '', bits] = entry.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) trusted.addAddress(address, family)
    else trusted.addSubnet(address, Number(bits), family)
  }
  const isTrusted = (address: string) =>
    address !== unknown && trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')

  return (request) => {
    const { socket } = request
    const peer = peerAddress(socket.remoteAddress)
    const proto = (socket as TLSSocket).encrypted ? 'https' : 'http'
    const host = validHost(targetAuthority(request.url) ?? headerOf(request.rawHeaders, 'host'))
    if (trustedProxies.length === 0 || !isTrusted(peer)) return { address: peer, proto, host, chain: peer }
    const { headers } = request
    const hops = listOf(headers['x-forwarded-for']).map(hopAddress)
    const untrusted = hops.findLastIndex((hop) => !isTrusted(hop))
    return {
      address: hops[untrusted] ?? hops[0] ?? peer,
      proto: listOf(headers['x-forwarded-proto']).at(-1)?.toLowerCase() === 'https' ? 'https' : proto,
      host: validHost(listOf(headers['x-forwarded-host']).at(-1)) ?? host,
      chain: [...hops.slice(Math.max(untrusted, 0)), peer].join(', '),
    }
  }
}

/** What the house is told of the caller. */
export function forwardedIdentity(
  caller: Caller,
  requestId: string,
  trace?: RequestTrace,
): ForwardedIdentity {
  const { chain, host, proto } = caller
  const elements = chain.includes(',') ? chain.split(', ').map(forwardedFor).join(', ') : forwardedFor(chain)
  return {
    requestId,
    trace,
    forwardedFor: chain,
    forwardedHost: host,
    forwardedProto: proto,
    forwarded: `${elements};${host === undefined ? '' : `host="${host}";`}proto=${proto}`,
  }
}

/** RFC 7239 §6: an IPv6 address is bracketed and quoted. */
const forwardedFor = (address: string) => (address.includes(':') ? `for="[${address}]"` : `for=${address}`)

const unknown = 'unknown'

/** The other end of the connection: IPv4 also on a dual-stack socket, without the zone of a link-local one. */
function peerAddress(address: string | undefined): string {
  if (address === undefined) return unknown
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address
  return plain.includes('%') ? plain.slice(0, plain.indexOf('%')) : plain
}

/** One element of X-Forwarded-For, which anybody may have written; some proxies write the port as well. */
function hopAddress(element: string): string {
  const [, bracketed, withPort] = /^(?:\[(.*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(element) ?? []
  const address = (bracketed ?? withPort ?? element).replace(/%.*$/, '')
  if (isIPv4(address)) return address
  return isIPv6(address) ? peerAddress(new SocketAddress({ address, family: 'ipv6' }).address) : unknown
}

/** The host of an absolute-form target, which stands above the Host header (RFC 9112 §3.2.2). */
const targetAuthority = (target: string | undefined) =>
  target === undefined || target.startsWith('/') ? undefined : /^https?:\/\/([^/?#]+)/i.exec(target)?.[1]

const listOf = (value: string | string[] | undefined) =>
  value === undefined
    ? []
    : String(value)
        .split(',')
        .map((item) => item.trim())
        .filter(Boolean)

/** A host and port and nothing else: what goes into a quoted string must not leave it. */
const validHost = (host: string | undefined) =>
  host !== undefined && /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host) ? host : undefined

/** Without building the whole header object, which most proxied requests never need. */
function headerOf(rawHeaders: readonly string[], name: string): string | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const candidate = rawHeaders[i]!
    if (candidate.length === name.length && candidate.toLowerCase() === name) return rawHeaders[i + 1]
  }
  return undefined
}
