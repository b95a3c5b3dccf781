/** What the log shows of something that was thrown: the stack of an error, and of other values not their inside. */
export function stackOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.stack ?? thrown.name
  return typeof thrown === 'string' ? thrown : `a thrown ${thrown === null ? 'null' : typeof thrown}`
}
