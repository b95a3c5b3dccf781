import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Description } from '../discovery/description.ts'
import type { Environment } from '../discovery/source.ts'
import { atOnce, type Steps } from '../slices.ts'
import type { ConfiguredSource, RoutingConfig } from './config.ts'
import { errorCode, readOptional } from './environment.ts'
import { ConfigError, type Fault, shown } from './fault.ts'
import { deepFreeze } from './freeze.ts'
import { type GatewayFile, parseGatewayFile } from './gateway-file.ts'
import { readServiceUrls } from './service-urls.ts'
import { type DiscoverySources, readSources } from './sources.ts'

/** A file's text, undefined where there is no such file, the error where it cannot be read. */
export type FileText = string | undefined | Error

/** gateway.yaml, or what GATEWAY_CONFIG names: where it is, and what a later state of it says. */
export interface RoutingFile {
  /** As in faults. */
  readonly name: string
  /** Absolute. */
  readonly path: string
  /** What was read at the start. */
  readonly text: FileText
  /**
   * Checks another text as a start would, with the environment of the start. A source that it changes nothing for
   * is the very same one as in `previous`, and so is what it says of a service. Unlike at a start it must say so where
   * there are no services any more.
   * @throws {ConfigError} with every fault there is
   */
  parse(text: FileText, previous: RoutingConfig): Steps<RoutingConfig>
}

export interface RoutingInput {
  /** With `.env`; settings are of the start and stay. */
  readonly environment: Environment
  readonly cwd: string
  /** The names in DISCOVERY. */
  readonly discovery: readonly string[]
  readonly sources: DiscoverySources
  /** In place of what the file says now. */
  readonly asRead?: { readonly routingText: FileText } | undefined
}

/** Finds and reads the file; faults of the environment are added to `faults`, the file's own to `fileFaults`. */
export function readRouting(
  input: RoutingInput,
  faults: Fault[],
  fileFaults: Fault[],
): { routing: RoutingConfig; file: RoutingFile } {
  const { environment, cwd } = input
  const name = nameOf(environment)
  const path = resolve(cwd, name)
  const text = input.asRead === undefined ? readOptional(path) : input.asRead.routingText
  const { file, urls, urlOrigin } = atOnce(readText(input, text, faults))
  fileFaults.push(...file.faults)
  const sources = readSources(
    { names: input.discovery, sources: input.sources, environment, urls, urlOrigin },
    faults,
  )
  const parse: RoutingFile['parse'] = (later, previous) => reread(input, later, previous)
  return { routing: { services: file.services, urls, sources }, file: { name, path, text, parse } }
}

function* reread(input: RoutingInput, text: FileText, previous: RoutingConfig): Steps<RoutingConfig> {
  const faults: Fault[] = []
  const { file, urls, urlOrigin } = yield* readText(input, text, faults)
  faults.push(...file.faults)
  // A file that is about to be written is empty for a moment, which would take every route away.
  if (faults.length === 0 && !file.saysServices && previous.services.size > 0) {
    faults.push({ place: { file: nameOf(input.environment), line: 1, column: 1, key: '' }, ...nothingSaid })
  }
  let { sources } = previous
  if (!isDeepStrictEqual(new Map(urls), new Map(previous.urls))) {
    // The others' settings are not of the file, and what they read besides (a token file) is theirs to reread.
    const names = input.discovery.filter((name) => input.sources[name]?.takesUrls === true)
    const known = { names, sources: input.sources, environment: input.environment, urls, urlOrigin }
    const changed = readSources(known, faults)
    yield
    sources = previous.sources.map((source) => changedOrSame(source, changed))
  }
  if (faults.length > 0) throw new ConfigError(faults)
  const services = new Map<string, Description>()
  for (const [name, description] of file.services) {
    const known = previous.services.get(name)
    services.set(name, isDeepStrictEqual(description, known) ? known! : description)
    yield
  }
  return deepFreeze({ services, urls, sources })
}

function changedOrSame(source: ConfiguredSource, changed: readonly ConfiguredSource[]): ConfiguredSource {
  const next = changed.find((one) => one.source.name === source.source.name)
  return next === undefined || isDeepStrictEqual(next.options, source.options) ? source : next
}

function* readText(input: RoutingInput, text: FileText, faults: Fault[]) {
  const file = yield* readGatewayFile(input.environment, text, faults)
  yield
  const named = readServiceUrls(input.environment, [...file.services.keys()])
  faults.push(...named.faults)
  return {
    file,
    urls: new Map([...file.urls, ...named.urls]),
    urlOrigin: (service: string) => named.origins.get(service) ?? file.urlNodes.get(service),
  }
}

/** gateway.yaml, or what GATEWAY_CONFIG names. Only the former may be missing. */
function* readGatewayFile(environment: Environment, text: FileText, faults: Fault[]): Steps<GatewayFile> {
  const named = environment.GATEWAY_CONFIG
  const name = nameOf(environment)
  if (typeof text === 'string') return yield* parseGatewayFile(name, text, environment)
  if (named !== undefined) {
    const found = `${shown(named)} (${text === undefined ? 'no such file' : errorCode(text)})`
    faults.push({ place: { variable: 'GATEWAY_CONFIG' }, found, expected: 'a YAML file that can be read' })
  } else if (text !== undefined) {
    const place = { file: name, line: 1, column: 1, key: '' }
    const found = `a file that cannot be read (${errorCode(text)})`
    faults.push({ place, found, expected: 'a YAML file' })
  }
  return { saysServices: false, services: new Map(), urls: new Map(), urlNodes: new Map(), faults: [] }
}

const nameOf = (environment: Environment) => environment.GATEWAY_CONFIG ?? 'gateway.yaml'

const nothingSaid = {
  found: 'an empty file, or one that says nothing of services',
  expected: 'services; `services: {}` where there are none any more',
}
