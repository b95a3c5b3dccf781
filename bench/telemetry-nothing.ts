/** Stands in for src/door/access-log.ts. */
export const createAccessLog = () => (_: unknown, next: () => Promise<unknown>) => next()
export const createUnparsableLog = () => () => {}
