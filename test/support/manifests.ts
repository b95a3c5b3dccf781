import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import type { ExecutionContext } from 'ava'
import type { IDeployment, IStatefulSet } from 'kubernetes-models/apps/v1'
import type { IHorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2'
import type { IIngress, INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1'
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1'
import type { IRole, IRoleBinding } from 'kubernetes-models/rbac.authorization.k8s.io/v1'
import type { IConfigMap, IPodSpec, ISecret, IService, IServiceAccount } from 'kubernetes-models/v1'
import type { Manifest } from './kubernetes-schemas.ts'

interface Kinds {
  readonly Deployment: IDeployment
  readonly StatefulSet: IStatefulSet
  readonly HorizontalPodAutoscaler: IHorizontalPodAutoscaler
  readonly PodDisruptionBudget: IPodDisruptionBudget
  readonly Ingress: IIngress
  readonly NetworkPolicy: INetworkPolicy
  readonly Role: IRole
  readonly RoleBinding: IRoleBinding
  readonly ConfigMap: IConfigMap
  readonly Secret: ISecret
  readonly Service: IService
  readonly ServiceAccount: IServiceAccount
}

export const overlays = ['dev', 'consul', 'production'].map((name) => `k8s/overlays/${name}`)

/** An overlay made of the repository's own parts, gone after the test. */
export async function overlayOf(
  t: ExecutionContext,
  {
    resources,
    components,
  }: { readonly resources: readonly string[]; readonly components: readonly string[] },
): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'munjigi-k8s-')))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const away = (paths: readonly string[]) => paths.map((path) => relative(folder, resolve(path)))
  await writeFile(
    join(folder, 'kustomization.yaml'),
    JSON.stringify({
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace: 'munjigi',
      resources: away(resources),
      components: away(components),
    }),
  )
  return folder
}

/** Every object of a kind. */
export function every<Kind extends keyof Kinds>(objects: readonly Manifest[], kind: Kind) {
  return objects.filter((object) => object.kind === kind) as (Manifest & Kinds[Kind])[]
}

/** The object of this kind and name; a name with a hash behind it is found without. */
export function one<Kind extends keyof Kinds>(objects: readonly Manifest[], kind: Kind, name: string) {
  const hashed = new RegExp(`^${name}(?:-[a-z0-9]{10})?$`)
  const found = every(objects, kind).find(({ metadata }) => hashed.test(metadata.name))
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`)
  return found
}

export interface Workload {
  readonly name: string
  readonly kind: 'Deployment' | 'StatefulSet'
  readonly labels: Readonly<Record<string, string>>
  readonly pod: IPodSpec
}

/** Whatever makes pods. */
export function workloads(objects: readonly Manifest[]): readonly Workload[] {
  return [...every(objects, 'Deployment'), ...every(objects, 'StatefulSet')].map(
    ({ kind, metadata, spec }) => ({
      name: metadata.name,
      kind,
      labels: spec?.template.metadata?.labels ?? {},
      pod: spec!.template.spec!,
    }),
  )
}

export function workload(objects: readonly Manifest[], name: string): Workload {
  const found = workloads(objects).find((candidate) => candidate.name === name)
  if (found === undefined) throw new Error(`nothing makes pods of the name ${name}`)
  return found
}

/** The number that a container port has. */
export function portNumber({ pod }: Workload, port: string | number | undefined): number | undefined {
  const ports = pod.containers.flatMap(({ ports = [] }) => ports)
  return ports.find(({ name, containerPort }) => name === port || containerPort === port)?.containerPort
}

/** What the process of a workload is started with. What only a cluster knows is `podIP`. */
export function environmentOf(
  objects: readonly Manifest[],
  name: string,
  secrets: Readonly<Record<string, Readonly<Record<string, string>>>> = {},
  podIP = '10.244.0.17',
): Record<string, string> {
  const { pod } = workload(objects, name)
  const [container] = pod.containers
  const environment: Record<string, string> = {}
  for (const { configMapRef, secretRef } of container?.envFrom ?? []) {
    const given = secrets[secretRef?.name ?? '']
    if (given !== undefined) Object.assign(environment, given)
    else if (configMapRef?.name) Object.assign(environment, one(objects, 'ConfigMap', configMapRef.name).data)
    else if (secretRef?.name) Object.assign(environment, decoded(one(objects, 'Secret', secretRef.name)))
  }
  for (const { name, value, valueFrom } of container?.env ?? []) {
    if (valueFrom !== undefined && valueFrom.fieldRef?.fieldPath !== 'status.podIP') {
      throw new Error(`${name} comes from where this test does not look`)
    }
    environment[name] = value ?? podIP
  }
  return environment
}

export function decoded({ data = {}, stringData = {} }: ISecret): Record<string, string> {
  const texts = Object.entries(data ?? {}).map(([key, value]) => [
    key,
    Buffer.from(value, 'base64').toString(),
  ])
  return { ...Object.fromEntries(texts), ...stringData }
}

/** Whether labels are what a selector asks for. */
export function selects(
  selector: {
    readonly matchLabels?: Readonly<Record<string, string>> | null
    readonly matchExpressions?:
      | readonly { key: string; operator: string; values?: readonly string[] | null }[]
      | null
  },
  labels: Readonly<Record<string, string>>,
): boolean {
  const { matchLabels, matchExpressions } = selector
  return (
    Object.entries(matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (matchExpressions ?? []).every(({ key, operator, values }) => {
      if (operator !== 'In') throw new Error(`this test does not know ${operator}`)
      return labels[key] !== undefined && values?.includes(labels[key])
    })
  )
}
