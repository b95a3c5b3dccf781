import { findDebianTool, type ToolFinding } from './debian-tool.ts'

/** The real Consul agent. Debian carries it in this suite only. */
export function findConsul(): Promise<ToolFinding> {
  return findDebianTool({
    name: 'consul',
    package: { name: 'consul', suite: 'bullseye' },
    path: 'usr/bin/consul',
    version: { argument: 'version', said: /^Consul v?\d/ },
  })
}

if (import.meta.main) {
  const finding = await findConsul()
  if ('binary' in finding) {
    console.log(finding.binary)
  } else {
    console.error(finding.unavailable)
    process.exitCode = 1
  }
}
