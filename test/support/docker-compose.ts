import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { findDockerCompose } from '../../scripts/docker-compose.ts'

const run = promisify(execFile)
const finding = await findDockerCompose()

/** What is read here of a compose file, as `docker compose config` gives it: resolved, with every default filled in. */
export interface ComposeProject {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly volumes: Readonly<Record<string, unknown>>
  readonly networks: {
    readonly default: {
      readonly ipam: { readonly config: readonly { readonly subnet: string; readonly ip_range: string }[] }
    }
  }
}

export interface ComposeService {
  readonly image: string
  readonly build?: { readonly context: string; readonly target?: string }
  readonly profiles?: readonly string[]
  readonly entrypoint?: readonly string[] | null
  readonly command?: readonly string[] | null
  readonly environment?: Readonly<Record<string, string | null>>
  readonly ports?: readonly {
    readonly host_ip?: string
    readonly target: number
    readonly published: string
  }[]
  readonly volumes?: readonly { readonly type: string; readonly source: string; readonly target: string }[]
  readonly network_mode?: string
  readonly networks?: {
    readonly default?: { readonly ipv4_address?: string; readonly aliases?: readonly string[] } | null
  }
  readonly depends_on?: Readonly<Record<string, Dependency>>
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly stop_grace_period?: string
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly cap_add?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly restart?: string
  readonly container_name?: string
  readonly logging?: { readonly options?: Readonly<Record<string, string>> }
  readonly deploy?: { readonly resources?: { readonly limits?: { readonly memory?: string } } }
}

interface Dependency {
  readonly condition: string
  readonly required: boolean
  readonly restart?: boolean
}

export interface ComposeInput {
  readonly files?: readonly string[]
  readonly profiles?: readonly string[]
  /** In place of `.env` and the environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** A test by Docker's own parser: skipped where it cannot be had, failed instead with REQUIRE_COMPOSE=1. */
export function composeTest(title: string, work: (t: ExecutionContext) => Promise<void>): void {
  if ('binary' in finding) test(title, work)
  else if (process.env.REQUIRE_COMPOSE === '1') test(title, (t) => t.fail(finding.unavailable))
  else test.skip(`${title} (SKIPPED, ${finding.unavailable})`, work)
}

/** What `docker compose config` makes of the files. Rejects with what it complained of. */
export async function readCompose({ files, profiles = [], env = {} }: ComposeInput): Promise<ComposeProject> {
  if ('unavailable' in finding) throw new Error(finding.unavailable)
  const args = [
    // Nothing of a `.env` that a developer may have.
    ...['--env-file', '/dev/null'],
    ...(files ?? ['docker-compose.yml']).flatMap((file) => ['--file', file]),
    ...profiles.flatMap((profile) => ['--profile', profile]),
  ]
  const { stdout } = await run(finding.binary, [...args, 'config', '--format', 'json'], {
    env: { PATH: process.env.PATH, ...env },
  })
  return JSON.parse(stdout) as ComposeProject
}
