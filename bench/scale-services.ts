/** What the small and the large address book are made of. */
export const instancesPerService = 10
export const small = 10
export const large = 1000

export const serviceName = (number: number): string => `service-${number}`

/** Of its own for each instance, all of the loopback: a house that listens on 0.0.0.0 is found at each. */
export const instanceAddress = (service: number, instance: number): string =>
  `127.${1 + Math.floor(service / 250)}.${1 + (service % 250)}.${1 + instance}`
