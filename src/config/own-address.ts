import type { NetworkInterfaceInfo } from 'node:os'

export type NetworkInterfaces = () => NodeJS.Dict<NetworkInterfaceInfo[]>

/** In place of an address: the machine's own, or the container's. */
export const ownAddressWord = 'auto'

/** An address that leads to this machine from others, IPv4 first; undefined where it has none but internal ones. */
export function ownAddress(networkInterfaces: NetworkInterfaces): string | undefined {
  const outward = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !/^(?:fe80:|169\.254\.)/i.test(address))
  return (outward.find(({ family }) => family === 'IPv4') ?? outward[0])?.address
}
