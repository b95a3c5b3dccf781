import test from 'ava'
import type { IPodSpec } from 'kubernetes-models/v1'
import { kubectlTest } from '../support/kubectl.ts'
import { overlays, workloads } from '../support/manifests.ts'
import { controlNames, podSecurityOffences } from '../support/pod-security.ts'

kubectlTest(
  'every pod of every overlay holds to the restricted profile, as the namespace demands',
  async (t, render) => {
    for (const folder of overlays) {
      const objects = await render(folder)
      const namespace = objects.find(({ kind }) => kind === 'Namespace')
      t.is(namespace?.metadata.labels?.['pod-security.kubernetes.io/enforce'], 'restricted')
      t.true(workloads(objects).length >= 2)
      for (const { name, pod } of workloads(objects)) {
        t.deepEqual(podSecurityOffences(pod), [], `${folder}: ${name}`)
      }
    }
  },
)

kubectlTest(
  'beyond the profile: nothing is written but where it says so, and one pod alone has a token',
  async (t, render) => {
    for (const folder of overlays) {
      const mayAsk = folder.endsWith('consul') ? [] : ['gateway']
      const objects = await render(folder)
      t.deepEqual(
        workloads(objects).flatMap(({ name, pod }) =>
          pod.automountServiceAccountToken === false ? [] : [name],
        ),
        mayAsk,
      )
      for (const { name, pod } of workloads(objects)) {
        // AUTH_PORT=tcp://10.96.0.7:80 is what Kubernetes would say, and the auth service could not start with it.
        t.is(pod.enableServiceLinks, false, name)
        // What is mounted belongs to the group that it runs as: the token of the account can be read.
        t.is(pod.securityContext?.fsGroup, pod.securityContext?.runAsGroup)
        // One node is enough.
        for (const { whenUnsatisfiable } of pod.topologySpreadConstraints ?? [])
          t.is(whenUnsatisfiable, 'ScheduleAnyway')
        for (const { securityContext, resources, volumeMounts } of pod.containers) {
          t.true(securityContext?.readOnlyRootFilesystem)
          const [asked, allowed] = [resources?.requests?.memory, resources?.limits?.memory].map(mebibytes)
          t.true(asked! <= allowed!, 'the API server would not take it')
          t.true(volumeMounts?.some(({ mountPath }) => mountPath === '/tmp'))
        }
        for (const { emptyDir } of pod.volumes ?? [])
          t.true(emptyDir === undefined || emptyDir?.sizeLimit !== undefined)
      }
    }
  },
)

function mebibytes(quantity: unknown): number {
  const [, count] = /^(\d+)Mi$/.exec(String(quantity)) ?? []
  if (count === undefined) throw new Error(`expected memory in Mi, got ${quantity}`)
  return Number(count)
}

const sound: IPodSpec = {
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    { name: 'one', securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
  ],
}
const [container] = sound.containers
const context = container!.securityContext!
const pod = (more: Partial<IPodSpec>): IPodSpec => ({ ...sound, ...more })
const inPod = (more: object) => pod({ securityContext: { ...sound.securityContext, ...more } })
const inContainer = (more: object) => pod({ containers: [{ ...container!, ...more }] })
const inContext = (more: object) => inContainer({ securityContext: { ...context, ...more } })
const besides = (kind: 'initContainers' | 'ephemeralContainers') =>
  pod({ [kind]: [{ name: 'two', securityContext: { ...context, privileged: true } }] })
const volume = (more: object) => pod({ volumes: [{ name: 'data', ...more }] })

/** What offends against each control, and against no other one. */
const offences: Readonly<Record<string, readonly IPodSpec[]>> = {
  HostProcess: [
    inPod({ windowsOptions: { hostProcess: true } }),
    inContext({ windowsOptions: { hostProcess: true } }),
  ],
  'Host Namespaces': [pod({ hostNetwork: true }), pod({ hostPID: true }), pod({ hostIPC: true })],
  'Privileged Containers': [
    inContext({ privileged: true }),
    besides('initContainers'),
    besides('ephemeralContainers'),
  ],
  'HostPath Volumes': [volume({ hostPath: { path: '/' } })],
  'Host Ports': [inContainer({ ports: [{ containerPort: 80, hostPort: 80 }] })],
  'Host Probes / Lifecycle Hooks': [
    inContainer({ livenessProbe: { httpGet: { port: 80, host: '169.254.169.254' } } }),
    inContainer({ readinessProbe: { tcpSocket: { port: 80, host: '169.254.169.254' } } }),
    inContainer({ lifecycle: { preStop: { httpGet: { port: 80, host: '169.254.169.254' } } } }),
  ],
  AppArmor: [
    inPod({ appArmorProfile: { type: 'Unconfined' } }),
    inContext({ appArmorProfile: { type: 'Unconfined' } }),
  ],
  SELinux: [inPod({ seLinuxOptions: { type: 'spc_t' } }), inContext({ seLinuxOptions: { user: 'root' } })],
  '/proc Mount Type': [inContext({ procMount: 'Unmasked' })],
  Sysctls: [inPod({ sysctls: [{ name: 'kernel.msgmax', value: '65536' }] })],
  'Volume Types': [volume({ nfs: { server: 'files', path: '/' } })],
  'Privilege Escalation': [
    inContext({ allowPrivilegeEscalation: true }),
    inContext({ allowPrivilegeEscalation: undefined }),
  ],
  'Running as Non-root': [
    inPod({ runAsNonRoot: false }),
    inPod({ runAsNonRoot: undefined }),
    inContext({ runAsNonRoot: false }),
  ],
  'Running as Non-root user': [inPod({ runAsUser: 0 }), inContext({ runAsUser: 0 })],
  Seccomp: [
    inPod({ seccompProfile: undefined }),
    inPod({ seccompProfile: { type: 'Unconfined' } }),
    inContext({ seccompProfile: { type: 'Unconfined' } }),
  ],
  Capabilities: [
    inContext({ capabilities: undefined }),
    inContext({ capabilities: { drop: ['NET_RAW'] } }),
    inContext({ capabilities: { drop: ['ALL'], add: ['SYS_PTRACE'] } }),
  ],
}

test('the checks themselves: each control is offended by what it forbids', (t) => {
  t.deepEqual(podSecurityOffences(sound), [])
  t.deepEqual(Object.keys(offences), controlNames)
  for (const [control, pods] of Object.entries(offences)) {
    for (const offender of pods) {
      const found = podSecurityOffences(offender)
      // A host path is no allowed type of volume either.
      t.deepEqual(found, control === 'HostPath Volumes' ? [control, 'Volume Types'] : [control])
    }
  }
  const annotations = { 'container.apparmor.security.beta.kubernetes.io/one': 'unconfined' }
  t.deepEqual(podSecurityOffences(sound, annotations), ['AppArmor'])
  t.deepEqual(
    podSecurityOffences(inContext({ capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } })),
    [],
  )
})
