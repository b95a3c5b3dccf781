import { findDebianTool, type ToolFinding } from './debian-tool.ts'

/** Docker's own reader of compose files, which for that needs no engine. Older suites carry another program. */
export function findDockerCompose(): Promise<ToolFinding> {
  return findDebianTool({
    name: 'docker-compose',
    package: { name: 'docker-compose', suite: 'trixie' },
    path: 'usr/libexec/docker/cli-plugins/docker-compose',
    version: {
      argument: 'version',
      said: /^Docker Compose version v?(?:2\.(?:2[6-9]|[3-9]\d)|[3-9]\.|\d\d\.)/,
    },
  })
}

if (import.meta.main) {
  const finding = await findDockerCompose()
  if ('binary' in finding) {
    console.log(finding.binary)
  } else {
    console.error(finding.unavailable)
    process.exitCode = 1
  }
}
