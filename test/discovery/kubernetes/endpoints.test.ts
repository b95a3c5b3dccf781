import test from 'ava'
import { chooseEndpoints } from '../../../src/discovery/kubernetes/endpoints.ts'
import { parseService, parseSlice } from '../../../src/discovery/kubernetes/objects.ts'
import { choosePort, portIn } from '../../../src/discovery/kubernetes/ports.ts'
import { type SliceSpec, service, slice, terminating, unready } from '../../support/kubernetes-objects.ts'

const withPorts = (...ports: object[]) => parseService(service('auth', { ports }), 'gateway.jinmini.com/')!
const sliceOf = (options: SliceSpec) => parseSlice(slice('auth', options))!
const hosts = (slices: readonly SliceSpec[], given: { ipFamilies?: string[]; zone?: string } = {}) =>
  chooseEndpoints({
    slices: slices.map(sliceOf),
    port: { kind: 'first' },
    ipFamilies: given.ipFamilies ?? ['IPv4'],
    zone: given.zone,
  }).map(({ host }) => host)

const two = withPorts(
  { name: 'metrics', port: 9090, targetPort: 'metrics', protocol: 'TCP' },
  { name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' },
  { name: 'dns', port: 53, targetPort: 53, protocol: 'UDP' },
)

test('a port is chosen by its name, the Service’s number or the pods’ number', (t) => {
  for (const asked of ['http', 80, 8080]) t.like(choosePort(two, asked), { kind: 'named', name: 'http' })
})

test('without a word on it the Service’s first port is chosen', (t) => {
  t.like(choosePort(two, undefined), { kind: 'named', name: 'metrics' })
})

test('a UDP port is no port to speak HTTP to', (t) => {
  for (const asked of ['dns', 53]) {
    t.deepEqual(choosePort(two, asked), { expected: 'one of its TCP ports: metrics (9090), http (80)' })
  }
})

test('a Service that has no ports takes the number as it stands, or the slice’s first', (t) => {
  const none = withPorts()
  const bare = sliceOf({ ports: null })
  t.is(portIn(bare, choosePort(none, 8080) as never), 8080)
  t.is(portIn(bare, choosePort(none, undefined) as never), undefined)
  t.is(portIn(sliceOf({}), choosePort(none, undefined) as never), 8080)
})

test('each slice’s own number counts: pods of one name may listen on different ports', (t) => {
  const port = choosePort(two, 'http') as never
  const at = (number: number) => sliceOf({ ports: [{ name: 'http', port: number, protocol: 'TCP' }] })
  t.deepEqual(
    [8080, 8081].map((number) => portIn(at(number), port)),
    [8080, 8081],
  )
  t.is(portIn(sliceOf({ ports: [{ name: 'other', port: 1 }] }), port), undefined)
})

test('of a dual-stack Service the preferred family is used, and the other where that has nothing', (t) => {
  const v4 = { endpoints: [{ address: '10.0.0.1' }] }
  const v6 = { suffix: 'v6', addressType: 'IPv6', endpoints: [{ address: 'fd00::1' }] }
  t.deepEqual(hosts([v4, v6], { ipFamilies: ['IPv6', 'IPv4'] }), ['[fd00::1]:8080'])
  t.deepEqual(hosts([v4, v6]), ['10.0.0.1:8080'])
  t.deepEqual(hosts([v6]), ['[fd00::1]:8080'])
  t.deepEqual(hosts([{ endpoints: [{ address: '10.0.0.1', conditions: terminating }] }, v6]), [
    '[fd00::1]:8080',
  ])
})

test('a slice of names, or an address that is none of its type, is not used', (t) => {
  t.deepEqual(hosts([{ addressType: 'FQDN', endpoints: [{ address: 'house.example' }] }]), [])
  t.deepEqual(hosts([{ endpoints: [{ address: 'fd00::1' }, { address: 'evil.example/' }] }]), [])
})

test('an endpoint in two slices leaves as soon as one of them says so', (t) => {
  const leaving = { suffix: 'b', endpoints: [{ address: '10.0.0.1', conditions: terminating }] }
  t.deepEqual(hosts([{ endpoints: [{ address: '10.0.0.1' }, { address: '10.0.0.2' }] }, leaving]), [
    '10.0.0.2:8080',
  ])
})

test('hints are for ready endpoints, and hold only while every one of them has some', (t) => {
  const near = { address: '10.0.0.1', zones: ['eu-1'] }
  const far = { address: '10.0.0.2', zones: ['eu-2', 'eu-3'] }
  const unhinted = { address: '10.0.0.3' }
  t.deepEqual(hosts([{ endpoints: [near, far] }], { zone: 'eu-3' }), ['10.0.0.2:8080'])
  t.is(hosts([{ endpoints: [near, far, unhinted] }], { zone: 'eu-1' }).length, 3)
  const gone = { ...near, conditions: unready }
  t.deepEqual(hosts([{ endpoints: [gone, far] }], { zone: 'eu-1' }), ['10.0.0.2:8080'])
})
