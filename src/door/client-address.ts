/**
 * Whom an address stands for when requests are counted: itself, or for IPv6 its /64, which is the least that one
 * customer gets (RFC 6177) and 2^64 addresses to him who wants to look like many.
 *
 * @param address IPv4, IPv6 in any spelling without zone and brackets, or `unknown`
 */
export function countedAddress(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const front = groupsOf(head)
  if (tail !== undefined) {
    const back = groupsOf(tail)
    while (front.length + back.length < 8) front.push('0')
    front.push(...back)
  }
  const network = front.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${network.join(':')}::/64`
}

/** An IPv4 address at the end stands for two groups; nobody reads those. */
const groupsOf = (text: string) =>
  text === '' ? [] : text.split(':').flatMap((group) => (group.includes('.') ? ['0', '0'] : [group]))
