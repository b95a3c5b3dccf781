import { findDebianTool, type ToolFinding } from './debian-tool.ts'

/** The web server that stands in front of the gateways. */
export function findCaddy(): Promise<ToolFinding> {
  return findDebianTool({
    name: 'caddy',
    package: { name: 'caddy', suite: 'trixie' },
    path: 'usr/bin/caddy',
    version: { argument: 'version', said: /^v?2\.\d/ },
  })
}

if (import.meta.main) {
  const finding = await findCaddy()
  if ('binary' in finding) {
    console.log(finding.binary)
  } else {
    console.error(finding.unavailable)
    process.exitCode = 1
  }
}
