import { findDebianTool, type ToolFinding } from './debian-tool.ts'

/** Kubernetes' own command, which has Kustomize in it. */
export function findKubectl(): Promise<ToolFinding> {
  return findDebianTool({
    name: 'kubectl',
    package: { name: 'kubectl', suite: 'trixie' },
    path: 'usr/bin/kubectl',
    // `kubectl version` asks a cluster. `events` came with 1.26, long after everything that k8s/ makes use of.
    version: { argument: 'help', said: /^ +events +/m },
  })
}

if (import.meta.main) {
  const finding = await findKubectl()
  if ('binary' in finding) {
    console.log(finding.binary)
  } else {
    console.error(finding.unavailable)
    process.exitCode = 1
  }
}
