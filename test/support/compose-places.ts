import { resolve } from 'node:path'
import type { ComposeService } from './docker-compose.ts'

/** Where something of the topology is when its containers are processes of this machine. */
export interface Places {
  /** Of each container's service name: the address of its first container. */
  readonly hosts: ReadonlyMap<string, string>
  /** Of each port that is listened on in a container: the free one that stands for it, on every address. */
  readonly ports: ReadonlyMap<string, string>
  /** Of named volumes: folders. */
  readonly volumes: ReadonlyMap<string, string>
  /** In place of the network's subnet, whom all of them come from. */
  readonly subnet: readonly [written: string, meant: string]
}

/**
 * The translation of what the file says to a container to what is said to a process: the container's own address for
 * `0.0.0.0`, `127.0.0.1` and `auto`, `host:port` of another service, ports, the subnet, and paths within mounts.
 * What names localhost is said to browsers, and stays.
 */
export function createTranslation(places: Places, service: ComposeService, address: string) {
  const mounts = (service.volumes ?? []).map(({ type, source, target }) => {
    const path = type === 'bind' ? resolve(source) : places.volumes.get(source)
    if (path === undefined) throw new Error(`no folder for the volume ${source}`)
    return [target, path] as const
  })

  function path(text: string): string {
    for (const [target, source] of mounts) {
      const at = text.indexOf(target)
      if (at < 0 || !/^(?:$|\/)/.test(text.slice(at + target.length))) continue
      if (/^(?:$|.*=$)/.test(text.slice(0, at)))
        return text.slice(0, at) + source + text.slice(at + target.length)
    }
    return text
  }

  return {
    address,
    port: (port: string) => places.ports.get(port) ?? port,
    text(text: string): string {
      if (text === '0.0.0.0' || text === 'auto' || text === '127.0.0.1') return address
      if (text === places.subnet[0]) return places.subnet[1]
      if (places.ports.has(text)) return places.ports.get(text)!
      const known = [...places.hosts.keys(), '127\\.0\\.0\\.1'].join('|')
      const hostAndPort = new RegExp(`(?<![\\w.-])(${known}):(\\d+)(?!\\d)`, 'g')
      const located = text.replace(hostAndPort, (whole, host: string, port: string) => {
        const there = places.ports.get(port)
        return there === undefined ? whole : `${places.hosts.get(host) ?? address}:${there}`
      })
      return path(located)
    },
  }
}

export type Translation = ReturnType<typeof createTranslation>
