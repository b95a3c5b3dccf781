import type { IContainer, IPodSpec } from 'kubernetes-models/v1'

/** One control of the Pod Security Standards, under the name that the document gives it. */
interface Control {
  readonly name: string
  /** Whether a pod holds to it. */
  readonly holds: (pod: IPodSpec, annotations: Readonly<Record<string, string>>) => boolean
}

const volumeTypes = [
  ...['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral'],
  ...['persistentVolumeClaim', 'projected', 'secret'],
]
const seLinuxTypes = [
  ...[undefined, '', 'container_t', 'container_init_t'],
  ...['container_kvm_t', 'container_engine_t'],
]
const safeSysctls = [
  ...['kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range', 'net.ipv4.ip_unprivileged_port_start'],
  ...['net.ipv4.tcp_syncookies', 'net.ipv4.ping_group_range', 'net.ipv4.ip_local_reserved_ports'],
  ...['net.ipv4.tcp_keepalive_time', 'net.ipv4.tcp_fin_timeout'],
  ...['net.ipv4.tcp_keepalive_intvl', 'net.ipv4.tcp_keepalive_probes'],
]
const profiles = ['RuntimeDefault', 'Localhost']

/**
 * The profile `restricted`, which has `baseline` in it, as of Kubernetes 1.34:
 * https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
const controls: readonly Control[] = [
  {
    name: 'HostProcess',
    holds: (pod) => contexts(pod).every((context) => !context?.windowsOptions?.hostProcess),
  },
  { name: 'Host Namespaces', holds: (pod) => !pod.hostNetwork && !pod.hostPID && !pod.hostIPC },
  {
    name: 'Privileged Containers',
    holds: (pod) => all(pod).every(({ securityContext }) => !securityContext?.privileged),
  },
  { name: 'HostPath Volumes', holds: ({ volumes }) => (volumes ?? []).every(({ hostPath }) => !hostPath) },
  {
    name: 'Host Ports',
    holds: (pod) => all(pod).every(({ ports }) => (ports ?? []).every(({ hostPort }) => !hostPort)),
  },
  {
    name: 'Host Probes / Lifecycle Hooks',
    holds: (pod) =>
      all(pod)
        .flatMap(({ livenessProbe, readinessProbe, startupProbe, lifecycle }) => [
          ...[livenessProbe, readinessProbe, startupProbe],
          ...[lifecycle?.postStart, lifecycle?.preStop],
        ])
        .every((handler) => !handler?.httpGet?.host && !handler?.tcpSocket?.host),
  },
  {
    name: 'AppArmor',
    holds: (pod, annotations) =>
      contexts(pod).every(({ appArmorProfile } = {}) =>
        [undefined, ...profiles].includes(appArmorProfile?.type),
      ) &&
      Object.entries(annotations).every(
        ([key, value]) =>
          !key.startsWith('container.apparmor.security.beta.kubernetes.io/') ||
          /^(?:runtime\/default|localhost\/.*)?$/.test(value),
      ),
  },
  {
    name: 'SELinux',
    holds: (pod) =>
      contexts(pod).every(({ seLinuxOptions } = {}) => {
        const { type, user, role } = seLinuxOptions ?? {}
        return seLinuxTypes.includes(type) && !user && !role
      }),
  },
  {
    name: '/proc Mount Type',
    holds: (pod) =>
      all(pod).every(({ securityContext }) =>
        [undefined, 'Default'].includes(securityContext?.procMount ?? undefined),
      ),
  },
  {
    name: 'Sysctls',
    holds: ({ securityContext }) =>
      (securityContext?.sysctls ?? []).every(({ name }) => safeSysctls.includes(name)),
  },
  {
    name: 'Volume Types',
    holds: ({ volumes }) =>
      (volumes ?? []).every(({ name: _, ...type }) =>
        Object.keys(type).every((key) => volumeTypes.includes(key)),
      ),
  },
  {
    name: 'Privilege Escalation',
    holds: (pod) =>
      all(pod).every(({ securityContext }) => securityContext?.allowPrivilegeEscalation === false),
  },
  {
    name: 'Running as Non-root',
    holds: (pod) =>
      all(pod).every(
        ({ securityContext }) =>
          (securityContext?.runAsNonRoot ?? pod.securityContext?.runAsNonRoot) === true,
      ),
  },
  {
    name: 'Running as Non-root user',
    holds: (pod) => contexts(pod).every((context) => context?.runAsUser !== 0),
  },
  {
    name: 'Seccomp',
    holds: (pod) =>
      all(pod).every(({ securityContext }) =>
        profiles.includes(
          (securityContext?.seccompProfile ?? pod.securityContext?.seccompProfile)?.type ?? '',
        ),
      ),
  },
  {
    name: 'Capabilities',
    holds: (pod) =>
      all(pod).every(({ securityContext }) => {
        const { drop, add } = securityContext?.capabilities ?? {}
        return drop?.includes('ALL') && (add ?? []).every((name) => name === 'NET_BIND_SERVICE')
      }),
  },
]

export const controlNames = controls.map(({ name }) => name)

/** The controls that a pod offends against. */
export function podSecurityOffences(
  pod: IPodSpec,
  annotations: Readonly<Record<string, string>> = {},
): readonly string[] {
  return controls.filter(({ holds }) => !holds(pod, annotations)).map(({ name }) => name)
}

/** Containers of every kind: what one of them may not do, none may. */
function all(pod: IPodSpec): readonly IContainer[] {
  return [
    ...pod.containers,
    ...(pod.initContainers ?? []),
    ...((pod.ephemeralContainers ?? []) as readonly IContainer[]),
  ]
}

/** The pod's own security context, and those of its containers. */
function contexts(pod: IPodSpec) {
  return [
    pod.securityContext ?? undefined,
    ...all(pod).map(({ securityContext }) => securityContext ?? undefined),
  ]
}
