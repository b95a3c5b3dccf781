import { readFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { delimiter, join } from 'node:path'
import { z } from 'zod'
import { shown } from '../../config/fault.ts'
import { didYouMean } from '../../config/suggest.ts'
import type { Environment, SourceInput } from '../source.ts'
import { readContexts } from './kubeconfig.ts'

/** How the API server is reached. Files are named, not held: they are read again whenever that may help. */
export type KubernetesAccess =
  | { readonly kind: 'service-account'; readonly server: string; readonly folder: string }
  | { readonly kind: 'kubeconfig'; readonly files: readonly string[]; readonly context: string }

export interface KubernetesOptions {
  readonly access: KubernetesAccess
  /** In order of precedence; undefined for all. */
  readonly namespaces: readonly string[] | undefined
  /** The pod's own namespace, or the context's. */
  readonly home: string
  /** With its `/`: `gateway.jinmini.com/`. */
  readonly annotationPrefix: string
  /** `topology.kubernetes.io/zone` of the node the gateway runs on. */
  readonly zone: string | undefined
}

export const kubernetesVariables = {
  KUBECONFIG: {
    description: "a kubeconfig file, or several separated as in PATH; the pod's service account by default",
    default: '',
  },
  KUBERNETES_CONTEXT: { description: "the context of KUBECONFIG; the file's current one by default" },
  KUBERNETES_NAMESPACE: {
    description:
      "the namespaces that services are found in, separated by commas, * for all; the pod's or the context's by default",
  },
  KUBERNETES_ANNOTATION_PREFIX: {
    description: 'what the annotations that describe a service begin with',
    default: 'gateway.jinmini.com/',
  },
  KUBERNETES_ZONE: {
    description: 'the zone the gateway runs in: where endpoints are hinted for it, only those are used',
  },
} as const

const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount'
/** RFC 1123's label, as Kubernetes checks the names of namespaces. */
const namespaceName = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/
const namespaceForms = 'expected names of namespaces separated by commas, or *'
const prefixForms = 'expected a DNS name and a slash, such as gateway.jinmini.com/'

const namespaces = z
  .string()
  .transform((text) => [...new Set(text.split(',').map((name) => name.trim()))])
  .refine((names) => names.join() === '*' || names.every((name) => namespaceName.test(name)), namespaceForms)

const annotationPrefix = z.string().regex(/^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/$/, prefixForms)

/** A label's value, which is what a zone is. */
const zone = z
  .string()
  .regex(/^[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/, 'expected the name of a zone, such as eu-west-1a')

/**
 * Reads the `KUBE*` variables; every issue's path ends in the variable's name.
 *
 * @param folder where Kubernetes puts a pod's service account.
 */
export function createKubernetesSettings(
  folder: string = serviceAccountFolder,
): z.ZodType<KubernetesOptions, SourceInput> {
  return z
    .object({
      environment: z
        .object({
          KUBERNETES_NAMESPACE: namespaces.optional(),
          KUBERNETES_ANNOTATION_PREFIX: annotationPrefix.default(
            kubernetesVariables.KUBERNETES_ANNOTATION_PREFIX.default,
          ),
          KUBERNETES_ZONE: zone.optional(),
        })
        .catchall(z.string().optional()),
      urls: z.custom<SourceInput['urls']>(),
    })
    .transform(({ environment }, context) => {
      const fail = (variable: string, message: string) => {
        context.addIssue({ code: 'custom', path: ['environment', variable], message })
        return z.NEVER
      }
      const found = findAccess({ ...environment, KUBERNETES_NAMESPACE: undefined }, folder)
      if ('message' in found) return fail(found.variable, found.message)
      const { KUBERNETES_NAMESPACE: names = [found.home] } = environment
      return {
        ...found,
        namespaces: names[0] === '*' ? undefined : names,
        annotationPrefix: environment.KUBERNETES_ANNOTATION_PREFIX,
        zone: environment.KUBERNETES_ZONE,
      }
    })
}

type Found =
  | { readonly access: KubernetesAccess; readonly home: string }
  | { readonly variable: string; readonly message: string }

function findAccess(environment: Environment, folder: string): Found {
  const { KUBECONFIG: paths, KUBERNETES_CONTEXT: named } = environment
  if (paths === undefined) return findServiceAccount(environment, folder)
  const files = paths.split(delimiter).filter((file) => file !== '')
  const read = readContexts(files)
  if ('fault' in read) {
    return { variable: 'KUBECONFIG', message: `expected a kubeconfig file that can be read: ${read.fault}` }
  }
  const { contexts, current } = read
  const names = [...contexts.keys()]
  if (names.length === 0) {
    return { variable: 'KUBECONFIG', message: 'expected a kubeconfig file with a context' }
  }
  const context = named ?? current
  if (context === undefined || !contexts.has(context)) {
    const message = `expected one of ${names.join(', ')}${didYouMean(context ?? '', names)}`
    const stray = named === undefined && context !== undefined
    const why = stray ? `, since current-context is ${shown(context)}` : ''
    return { variable: 'KUBERNETES_CONTEXT', message: `${message}${why}` }
  }
  return { access: { kind: 'kubeconfig', files, context }, home: contexts.get(context) ?? 'default' }
}

function findServiceAccount(environment: Environment, folder: string): Found {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment
  if (environment.KUBERNETES_CONTEXT !== undefined) {
    return { variable: 'KUBECONFIG', message: 'expected a kubeconfig file, since KUBERNETES_CONTEXT is set' }
  }
  const home = readText(join(folder, 'namespace'))?.trim()
  if (host === undefined || readText(join(folder, 'token')) === undefined) {
    return { variable: 'KUBECONFIG', message: 'expected a kubeconfig file, since no service account is here' }
  }
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`
  return { access: { kind: 'service-account', server, folder }, home: home || 'default' }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
