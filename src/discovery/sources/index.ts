import type { DiscoverySource } from '../source.ts'
import { consulSource } from './consul.ts'
import { dnsSource } from './dns.ts'
import { kubernetesSource } from './kubernetes.ts'
import { staticSource } from './static.ts'

/** Every source by its name in `DISCOVERY`: a new one is one file and one line here. */
export const discoverySources = {
  static: staticSource,
  dns: dnsSource,
  consul: consulSource,
  kubernetes: kubernetesSource,
} as const satisfies Record<string, DiscoverySource>
