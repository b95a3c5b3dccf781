import { createServer, type ServerResponse } from 'node:http'
import { instanceAddress, instancesPerService, serviceName } from './scale-services.ts'

/**
 * A stand-in for a Consul agent, as a process: the two calls the gateway makes, blocking queries and indexes, with
 * the members of real replies. It tells of `SERVICES` services, and of so many changes a second as it is told by
 * `POST /changes/<rate>`: each is an instance whose check turns critical, or passing again. `GET /count` gives the
 * requests it has had.
 */
const count = Number(process.env.SERVICES)
const housePort = Number(process.env.HOUSE_PORT)

const firstIndex = 100
const services = Array.from({ length: count }, (_, number) => ({
  name: serviceName(number),
  number,
  index: firstIndex,
  /** The instance that fails its check now. */
  critical: undefined as number | undefined,
  waiting: new Set<() => void>(),
}))
const byName = new Map(services.map((service) => [service.name, service]))
const catalog = JSON.stringify(Object.fromEntries(services.map(({ name }) => [name, tagsOf(name)])))
let index = firstIndex
let requests = 0
let turn = 0
let timer: NodeJS.Timeout | undefined

createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://consul')
  const [, , , , name = ''] = url.pathname.split('/')
  if (url.pathname === '/count') return void response.end(String(requests))
  if (url.pathname.startsWith('/changes/')) return void response.end(change(Number(url.pathname.slice(9))))
  requests += 1
  const service = byName.get(name)
  const answer = () => {
    if (service === undefined) reply(response, firstIndex, catalog)
    else reply(response, service.index, JSON.stringify(entriesOf(service)))
  }
  const asked = Number(url.searchParams.get('index') ?? 0)
  if (asked < (service?.index ?? firstIndex)) return answer()
  const waitMs = Number.parseInt(url.searchParams.get('wait') ?? '300000', 10)
  wait(service?.waiting ?? new Set(), response, answer, waitMs * (1 + Math.random() / 16))
}).listen(Number(process.env.PORT), '127.0.0.1')

/** Until something changes, or the client's patience is over: then the answer is what it has already. */
function wait(waiting: Set<() => void>, response: ServerResponse, answer: () => void, waitMs: number): void {
  const end = () => {
    clearTimeout(timeout)
    waiting.delete(wake)
  }
  const wake = () => {
    end()
    answer()
  }
  const timeout = setTimeout(wake, waitMs)
  waiting.add(wake)
  response.once('close', end)
}

function reply(response: ServerResponse, at: number, body: string): void {
  response.setHeader('Content-Type', 'application/json')
  response.setHeader('X-Consul-Index', String(at))
  response.setHeader('X-Consul-Knownleader', 'true')
  response.setHeader('X-Consul-Lastcontact', '0')
  response.end(body)
}

function change(rate: number): string {
  clearInterval(timer)
  if (rate > 0) timer = setInterval(changeOne, 1000 / rate)
  return 'ok'
}

/** Far from one another, so that in a small catalog the same service is not changed twice in a row. */
function changeOne(): void {
  turn += 1
  const service = services[(turn * 7) % count]!
  index += 1
  service.index = index
  service.critical = service.critical === undefined ? turn % instancesPerService : undefined
  for (const wake of [...service.waiting]) wake()
}

function tagsOf(name: string): string[] {
  return [
    'gateway.enable=true',
    `gateway.path=/api/${name}`,
    `gateway.strip=/api/${name}`,
    'gateway.auth=none',
    'gateway.openapi=false',
  ]
}

function entriesOf({ name, number, critical, index: modified }: (typeof services)[number]) {
  return Array.from({ length: instancesPerService }, (_, instance) => ({
    Node: {
      ...{ ID: `5f1c6e0a-0000-4000-8000-00000000000${instance}`, Node: `node-${instance}` },
      ...{
        Address: instanceAddress(number, instance),
        Datacenter: 'dc1',
        Meta: { 'consul-network-segment': '' },
      },
      ...{ CreateIndex: 10, ModifyIndex: 12 },
    },
    Service: {
      ...{ ID: `${name}-${instance}`, Service: name, Tags: tagsOf(name), Meta: {} },
      ...{ Address: instanceAddress(number, instance), Port: housePort },
      ...{ Weights: { Passing: 1, Warning: 1 }, EnableTagOverride: false },
      ...{ Proxy: { MeshGateway: {}, Expose: {} }, Connect: {} },
      ...{ CreateIndex: 20 + instance, ModifyIndex: 20 + instance },
    },
    Checks: [
      { CheckID: 'serfHealth', Name: 'Serf Health Status', Status: 'passing', Type: '', ModifyIndex: 11 },
      {
        ...{ CheckID: `service:${name}-${instance}`, Name: `${name} answers`, Type: 'http' },
        ...{
          Status: instance === critical ? 'critical' : 'passing',
          Output: 'HTTP GET: 200 OK',
          ModifyIndex: modified,
        },
      },
    ],
  }))
}
