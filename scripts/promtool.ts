import { findDebianTool, type ToolFinding } from './debian-tool.ts'

/** Prometheus' own checks of rules and queries. */
export function findPromtool(): Promise<ToolFinding> {
  return findDebianTool({
    name: 'promtool',
    package: { name: 'prometheus', suite: 'bookworm' },
    path: 'usr/bin/promtool',
    version: { argument: '--version', said: /^promtool, version \d/ },
  })
}

if (import.meta.main) {
  const finding = await findPromtool()
  if ('binary' in finding) {
    console.log(finding.binary)
  } else {
    console.error(finding.unavailable)
    process.exitCode = 1
  }
}
