import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { ExecutionContext } from 'ava'
import { createTranslation, type Places } from './compose-places.ts'
import {
  caddy,
  consul,
  isHealthy,
  node,
  type Program,
  type Running,
  startDatabase,
  untilHealthy,
} from './compose-programs.ts'
import { type ComposeService, readCompose } from './docker-compose.ts'
import { lastOf, readDockerfile } from './dockerfile.ts'
import { freePorts } from './ports.ts'

export interface Container {
  /** As `gateway-2`. */
  readonly name: string
  /** Where it listens, on a port that a container of the file listens on. */
  url(port: string): string
  /** Everything that it has printed since it was last started. */
  output(): string
  /** SIGTERM, then the same again; resolves when it is healthy. Fails where it far outlives stop_grace_period. */
  restart(): Promise<void>
}

export interface Topology {
  /** The only address that is published. */
  readonly url: string
  containers(service: string): readonly Container[]
}

export interface TopologyOptions {
  readonly files?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** As `--scale`; 1 where nothing is said. */
  readonly scale: Readonly<Record<string, number>>
}

/** What runs in an image that is not built from our Dockerfile; the part before the tag. */
const programs: Readonly<Record<string, Program>> = { caddy, 'hashicorp/consul': consul }

/** Every port that something in the file listens on within its container. */
const containerPorts = ['8080', '9090', '8001', '8500', '8300', '8301', '8600', '2019']

/**
 * Runs the services of a compose file that are in no profile, as processes: their commands, environment and health checks
 * are those of the file (and of the Dockerfile, where the file leaves them out), their order that of `depends_on`. Each
 * container has a loopback address of its own, which only Linux has without being asked.
 */
export async function startTopology(t: ExecutionContext, options: TopologyOptions): Promise<Topology> {
  const project = await readCompose(options)
  const { stages } = readDockerfile()
  const folder = await mkdtemp(join(tmpdir(), 'munjigi-compose-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))

  const free = await freePorts(containerPorts.length)
  const ports = new Map(containerPorts.map((port, index) => [port, String(free[index])]))
  const network = `127.${64 + Math.floor(Math.random() * 128)}.${Math.floor(Math.random() * 256)}`
  const addresses = new Map<string, readonly string[]>()
  let next = 1
  for (const name of Object.keys(project.services)) {
    const count = options.scale[name] ?? 1
    addresses.set(
      name,
      Array.from({ length: count }, () => `${network}.${next++}`),
    )
  }
  const volumes = new Map<string, string>()
  for (const name of Object.keys(project.volumes ?? {})) {
    volumes.set(name, join(folder, name))
    await mkdir(join(folder, name))
  }

  // The one that is not at an address of its own.
  const postgres = Object.entries(project.services).find(([, { image }]) => image.startsWith('postgres:'))
  if (postgres === undefined) throw new Error('the file has no PostgreSQL')
  const database = await startDatabase(t, written(postgres[1].environment))
  addresses.set(postgres[0], ['127.0.0.1'])
  ports.set('5432', database.port)

  const places: Places = {
    hosts: new Map([...addresses].map(([name, [first = '']]) => [name, first])),
    ports,
    volumes,
    subnet: [project.networks.default.ipam.config[0]!.subnet, '127.0.0.0/8'],
  }

  /** What the Dockerfile says of how a stage is run. */
  function imageOf(target: string) {
    const variables = [...(lastOf(stages, target, 'ENV') ?? '').matchAll(/(\w+)=(\S*)/g)]
    return {
      environment: Object.fromEntries(variables.map(([, name = '', value = '']) => [name, value])),
      command: JSON.parse(lastOf(stages, target, 'CMD') ?? '[]') as readonly string[],
    }
  }

  async function startContainer(service: ComposeService, name: string, address: string): Promise<Container> {
    const translation = createTranslation(places, service, address)
    const image = service.build && imageOf(service.build.target ?? '')
    const said = { ...image?.environment, ...written(service.environment) }
    const environment = Object.fromEntries(
      Object.entries(said).map(([key, text]) => [key, translation.text(text)]),
    )
    const command = [...(service.entrypoint ?? []), ...(service.command ?? image?.command ?? [])]
    const own = await mkdtemp(join(folder, `${name}-`))
    const program = programOf(service)
    const health = service.healthcheck?.test.map(translation.text) ?? []
    let running: Running

    async function start(): Promise<void> {
      running = await program(t, {
        command: command.map(translation.text),
        // Read by Caddy itself, which is translated afterwards.
        environment: program === caddy ? said : environment,
        translation,
        folder: own,
      })
      await untilHealthy(name, () => isHealthy(health, environment, database.url), running.output)
    }
    await start()
    return {
      name,
      url: (port) => `http://${address}:${translation.port(port)}`,
      output: () => running.output(),
      async restart() {
        // Twice as long as it is given: a machine may stand still in between.
        const late = setTimeout(
          () => t.fail(`${name} outlives its stop_grace_period`),
          2 * graceMs(service),
        ).unref()
        const code = await running.stop()
        clearTimeout(late)
        t.is(code, 0, `${name} ends in good order:\n${running.output()}`)
        await start()
      },
    }
  }

  const started = new Map<string, Promise<readonly Container[]>>()
  function up(name: string): Promise<readonly Container[]> {
    const known = started.get(name)
    if (known !== undefined) return known
    const service = project.services[name]
    const begun = (async () => {
      if (service === undefined || service === postgres![1]) return []
      const required = Object.entries(service.depends_on ?? {}).filter(([other]) => other in project.services)
      await Promise.all(required.map(([other]) => up(other)))
      const all = addresses.get(name) ?? []
      return Promise.all(all.map((address, i) => startContainer(service, `${name}-${i + 1}`, address)))
    })()
    started.set(name, begun)
    return begun
  }

  const services = Object.keys(project.services)
  const running = new Map(await Promise.all(services.map(async (name) => [name, await up(name)] as const)))
  const published = Object.entries(project.services).flatMap(([name, { ports = [] }]) =>
    ports.map(({ target }) => ({ name, target: String(target) })),
  )
  const [front] = published
  if (front === undefined || published.length > 1) throw new Error('expected one published port')
  return {
    url: running.get(front.name)![0]!.url(front.target),
    containers: (name) => running.get(name) ?? [],
  }
}

function programOf({ build, image }: ComposeService): Program {
  if (build !== undefined && resolve(build.context) === resolve('.')) return node
  const program = programs[image.slice(0, image.indexOf(':'))]
  if (program === undefined) throw new Error(`nothing here runs ${image}`)
  return program
}

function written(environment: ComposeService['environment'] = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, value ?? '']))
}

/** `stop_grace_period` as compose writes it: 20s, 1m0s. */
function graceMs({ stop_grace_period: text = '10s' }: ComposeService): number {
  const [, minutes = '0', seconds = '0'] = /^(?:(\d+)m)?(?:(\d+)s)?$/.exec(text) ?? []
  return (Number(minutes) * 60 + Number(seconds)) * 1000
}
