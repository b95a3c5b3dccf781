// Objects as the API server has them, with the fields that a real one carries along.

export interface ServiceSpec {
  readonly namespace?: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly ports?: readonly object[]
  readonly spec?: object
  readonly createdAt?: string
}

const prefix = 'gateway.jinmini.com/'

/** A Service, opted in unless its annotations say otherwise; keys of annotations are without the prefix. */
export function service(name: string, options: ServiceSpec = {}) {
  const { namespace = 'default', annotations = {}, spec = {}, createdAt = '2026-01-01T00:00:00Z' } = options
  const ports = options.ports ?? [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 }]
  return {
    metadata: {
      name,
      namespace,
      uid: `uid-${namespace}-${name}`,
      creationTimestamp: createdAt,
      labels: { app: name },
      annotations: Object.fromEntries(
        Object.entries({ enable: 'true', ...annotations }).map(([key, value]) => [`${prefix}${key}`, value]),
      ),
      managedFields: [{ manager: 'kubectl', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1' }],
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: '10.96.0.10',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      selector: { app: name },
      sessionAffinity: 'None',
      ports,
      ...spec,
    },
    status: { loadBalancer: {} },
  }
}

export interface EndpointSpec {
  readonly address?: string
  readonly pod?: string
  readonly conditions?: object | null
  readonly zones?: readonly string[]
}

export interface SliceSpec {
  readonly namespace?: string
  readonly suffix?: string
  readonly addressType?: string
  /** Null is how Go writes none. */
  readonly endpoints?: readonly EndpointSpec[] | null
  readonly ports?: readonly object[] | null
}

/** The conditions of a pod in its three ages. */
export const ready = { ready: true, serving: true, terminating: false }
export const terminating = { ready: false, serving: true, terminating: true }
export const unready = { ready: false, serving: false, terminating: false }

/** An EndpointSlice of the Service. */
export function slice(name: string, options: SliceSpec = {}) {
  const { namespace = 'default', suffix = 'abc12', addressType = 'IPv4', endpoints = [] } = options
  const { ports = [{ name: 'http', protocol: 'TCP', port: 8080 }] } = options
  return {
    metadata: {
      name: `${name}-${suffix}`,
      generateName: `${name}-`,
      namespace,
      uid: `uid-${namespace}-${name}-${suffix}`,
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: {
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        'kubernetes.io/service-name': name,
      },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name, uid: `uid-${namespace}-${name}` }],
    },
    addressType,
    endpoints:
      endpoints?.map(({ address = '10.0.0.1', pod = `pod-${address}`, conditions = ready, zones }) => ({
        addresses: [address],
        ...(conditions !== null && { conditions }),
        nodeName: 'node-1',
        zone: 'eu-1',
        targetRef: { kind: 'Pod', namespace, name: pod, uid: `uid-${pod}` },
        ...(zones && { hints: { forZones: zones.map((zone) => ({ name: zone })) } }),
      })) ?? null,
    ports,
  }
}

/** A slice with one ready endpoint for each address. */
export function addresses(name: string, ...list: readonly string[]) {
  return slice(name, { endpoints: list.map((address) => ({ address })) })
}
