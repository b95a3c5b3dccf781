import type { RequestOptions } from 'node:https'
import { join } from 'node:path'
import type { KubeConfig } from '@kubernetes/client-node'
import { readTokenFiles } from './kubeconfig.ts'
import type { KubernetesAccess } from './settings.ts'

/** Who the gateway is to the API server, and how it gets there. */
export interface Access {
  /** Without a trailing slash; may have a path. */
  readonly server: string
  /** What each request needs: connection agent, TLS, Authorization. Runs a credential plugin where there is one. */
  authorize(): Promise<RequestOptions>
  /** Forgets every token, certificate and credential: files are read and plugins run again. */
  renew(): void
}

/**
 * Credentials by @kubernetes/client-node, which is loaded here, when it is needed: it takes a third of a second
 * and 80 MB.
 *
 * @throws Error that names the file and never holds what is in it.
 */
export async function openAccess(access: KubernetesAccess): Promise<Access> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  let config = load(new KubeConfig(), access)
  const reload = () => load(new KubeConfig(), access)
  return {
    server: config.getCurrentCluster()!.server,
    async authorize() {
      const options: RequestOptions = {}
      try {
        await config.applyToHTTPSOptions(options)
      } catch (error) {
        throw new Error(`no credentials: ${describe(error)}`)
      }
      const headers = options.headers as Record<string, unknown> | undefined
      // A file may end in a line break, a header may not.
      if (typeof headers?.Authorization === 'string') headers.Authorization = headers.Authorization.trim()
      return options
    },
    renew() {
      config = reload()
    },
  }
}

function load(config: KubeConfig, access: KubernetesAccess): KubeConfig {
  if (access.kind === 'service-account') {
    const { server, folder } = access
    const authProvider = { name: 'tokenFile', config: { tokenFile: join(folder, 'token') } }
    config.loadFromClusterAndUser(
      { name: 'cluster', server, caFile: join(folder, 'ca.crt'), skipTLSVerify: false },
      { name: 'service-account', authProvider },
    )
    return config
  }
  const { files, context } = access
  const tokenFiles = readTokenFiles(files)
  try {
    config.loadFromFile(files[0]!)
    for (const file of files.slice(1)) {
      const further = new (config.constructor as typeof KubeConfig)()
      further.loadFromFile(file)
      config.mergeConfig(further, true)
    }
  } catch (error) {
    throw new Error(`${files.join(', ')} cannot be used: ${describe(error)}`)
  }
  config.users = config.users.map((user) => {
    const tokenFile = tokenFiles.get(user.name)
    if (tokenFile === undefined) return user
    return { ...user, authProvider: { name: 'tokenFile', config: { tokenFile } } }
  })
  config.setCurrentContext(context)
  if (config.getCurrentCluster() === null) {
    throw new Error(`${files.join(', ')}: the context ${context} has no cluster`)
  }
  return config
}

/** A parser's error quotes what it could not parse, which may be a token; the others' first line is for people. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if (error instanceof SyntaxError) return 'the credential plugin printed no JSON'
  if (error.name === 'YAMLException') return 'not YAML'
  return error.message.split('\n', 1)[0]!.slice(0, 200) || 'unknown'
}
