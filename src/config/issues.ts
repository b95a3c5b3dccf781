import type { z } from 'zod'

type Issue = z.core.$ZodIssue

export interface Expectation {
  readonly path: readonly PropertyKey[]
  /** What was expected there, as the end of a sentence: "a duration such as 500ms, 15s or 2m". */
  readonly expected: string
}

/** What a schema expected, and where: one expectation per path, the first. */
export function expectations(error: z.ZodError): readonly Expectation[] {
  const byPath = new Map<string, Expectation>()
  for (const issue of error.issues.map((issue) => deepest(issue))) {
    const key = issue.path.map(String).join('\n')
    if (!byPath.has(key)) byPath.set(key, { path: issue.path, expected: expectedIn(issue.message) })
  }
  return [...byPath.values()]
}

/** Of a union's branches, the issue that got furthest is the one that the author meant. */
function deepest(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue
  let best: Issue = issue
  for (const inner of issue.errors.flat()) {
    const candidate = deepest({ ...inner, path: [...issue.path, ...inner.path] })
    if (candidate.path.length > best.path.length) best = candidate
  }
  return best
}

/** Our schemas say "expected …"; zod's own words are "Invalid input: expected …, received …". */
function expectedIn(message: string): string {
  return /(?:^|: )expected (.*?)(?:, received [^,]*)?$/s.exec(message)?.[1] ?? message
}
