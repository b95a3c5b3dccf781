import { type Description, descriptionSchema } from '../discovery/description.ts'
import type { Environment } from '../discovery/source.ts'
import { splitWeight } from '../discovery/weighted-url.ts'
import type { Steps } from '../slices.ts'
import type { Fault, FilePlace } from './fault.ts'
import { expectations } from './issues.ts'
import { parseServiceUrls } from './service-urls.ts'
import { didYouMean } from './suggest.ts'
import { nodeAt, parseYamlTree, type YamlNode } from './yaml-tree.ts'

/** What gateway.yaml says. */
export interface GatewayFile {
  /** Whether it has services, be it `{}`: what is empty, or a comment, says nothing of them. */
  readonly saysServices: boolean
  /** Services by name: what the operator says of their routes. */
  readonly services: ReadonlyMap<string, Description>
  /** Static instances, of the services that have any. */
  readonly urls: ReadonlyMap<string, readonly string[]>
  /** Where those are written, for the faults that a source finds with them. */
  readonly urlNodes: ReadonlyMap<string, YamlNode>
  readonly faults: readonly Fault[]
}

/** What a service may be called. */
export const serviceNamePattern = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/
const descriptionKeys = Object.keys(descriptionSchema.shape)
const serviceKeys = ['urls', ...descriptionKeys]
const urlsExpected = 'one or more URLs such as http://localhost:8001; leave it out for a discovered service'

/** Reads the text of gateway.yaml; `file` is its name in faults, `environment` what `${NAME}` stands for. */
export function* parseGatewayFile(file: string, text: string, environment: Environment): Steps<GatewayFile> {
  const tree = yield* parseYamlTree(file, text, environment)
  const faults = [...tree.faults]
  const services = new Map<string, Description>()
  const urls = new Map<string, readonly string[]>()
  const urlNodes = new Map<string, YamlNode>()
  for (const [name, { key, node }] of serviceEntries(tree.root, faults)) {
    if (!serviceNamePattern.test(name)) {
      const expected = 'letters, digits, dots, dashes and underscores, such as user-profile'
      faults.push({ place: key, found: 'a name that no service can have', expected })
    }
    const service = readService(node, faults)
    if (service.urls !== undefined) {
      urls.set(name, service.urls)
      urlNodes.set(name, nodeAt(node, ['urls']))
    }
    // Naming the instances in the operator's own file is opting in.
    const enabled = service.urls !== undefined && service.description.enable === undefined
    services.set(name, enabled ? { ...service.description, enable: true } : service.description)
    yield
  }
  faults.push(...pathsClaimedTwice(tree.root, services))
  const saysServices = (tree.root?.entries?.get('services')?.node.value ?? null) !== null
  return { saysServices, services, urls, urlNodes, faults: faults.sort(byPosition) }
}

type Entries = Iterable<readonly [string, { readonly key: FilePlace; readonly node: YamlNode }]>

function serviceEntries(root: YamlNode | undefined, faults: Fault[]): Entries {
  if (root === undefined) return []
  if (root.entries === undefined) {
    if (root.value !== undefined) {
      faults.push({ place: root.place, found: root.found, expected: 'a mapping with the key services' })
    }
    return []
  }
  faults.push(...unknownKeys(root, ['services']))
  const services = root.entries.get('services')?.node
  return services === undefined ? [] : (mapping(services, 'services by name', faults) ?? [])
}

function readService(
  node: YamlNode,
  faults: Fault[],
): { description: Description; urls?: readonly string[] } {
  const entries = mapping(node, `keys such as path, strip and auth`, faults)
  if (entries === undefined) return { description: {} }
  faults.push(...unknownKeys(node, serviceKeys))
  const urls = entries.get('urls')
  const said = descriptionKeys.filter((key) => isReadable(entries.get(key)?.node))
  const result = descriptionSchema.safeParse(
    Object.fromEntries(said.map((key) => [key, entries.get(key)!.node.value])),
  )
  if (!result.success) {
    for (const { path, expected } of expectations(result.error)) {
      const culprit = nodeAt(node, path)
      faults.push({ place: culprit.place, found: culprit.found, expected })
    }
  }
  return { description: result.data ?? {}, ...(urls && { urls: readUrls(urls.node, faults) }) }
}

/** False where the value has already been found at fault, e.g. for what its placeholder stands for. */
function isReadable(node: YamlNode | undefined): boolean {
  return node !== undefined && node.value !== undefined && (node.items ?? []).every(isReadable)
}

function readUrls(node: YamlNode, faults: Fault[]): readonly string[] {
  const items = node.items ?? [node]
  const urls: string[] = []
  const named = new Set<string | undefined>()
  if (items.length === 0) faults.push({ place: node.place, found: node.found, expected: urlsExpected })
  for (const item of items.filter(isReadable)) {
    if (typeof item.value !== 'string') {
      faults.push({ place: item.place, found: item.found, expected: urlsExpected })
      continue
    }
    const parsed = parseServiceUrls(item.value)
    // As written: what a placeholder stands for is not shown.
    for (const { expected } of parsed.problems)
      faults.push({ place: item.place, found: item.found, expected })
    for (const url of parsed.urls) {
      const place = splitWeight(url)?.url
      if (named.has(place)) {
        faults.push({ place: item.place, found: `${item.found} twice`, expected: 'each instance once' })
      }
      named.add(place)
      urls.push(url)
    }
  }
  return urls
}

/** A mapping's entries; none where it is empty, a fault and undefined where it is something else. */
function mapping(node: YamlNode, what: string, faults: Fault[]): YamlNode['entries'] {
  if (node.entries !== undefined) return node.entries
  if (node.value === null) return new Map()
  if (node.value !== undefined) faults.push({ place: node.place, found: node.found, expected: what })
  return undefined
}

function unknownKeys(node: YamlNode, known: readonly string[]): readonly Fault[] {
  return [...(node.entries ?? [])]
    .filter(([name]) => !known.includes(name))
    .map(([name, { key }]) => ({
      place: key,
      found: `an unknown key${didYouMean(name, known)}`,
      expected: known.length === 1 ? known[0]! : `one of ${known.join(', ')}`,
    }))
}

/** A path belongs to one service; a hidden service claims none. */
function pathsClaimedTwice(root: YamlNode | undefined, services: GatewayFile['services']): readonly Fault[] {
  const faults: Fault[] = []
  const claims = new Map<string, { readonly service: string; readonly place: FilePlace }>()
  for (const [service, { path, enable, 'canary-of': stable }] of services) {
    // A canary's paths are those of the service that it stands in for.
    if (enable === false || stable !== undefined) continue
    const node = nodeAt(root!, ['services', service])
    // Where nothing is said the path is /api/<service>; a discovered service may still say otherwise itself.
    const paths = path ?? (enable === true ? [`/api/${service}`] : [])
    for (const [index, entry] of paths.entries()) {
      const claimed = typeof entry === 'string' ? entry : entry.prefix
      const place = nodeAt(node, path ? ['path', index] : []).place
      const first = claims.get(claimed)
      if (first === undefined) {
        claims.set(claimed, { service, place })
        continue
      }
      const found = `${claimed}, which ${first.service} claims at line ${first.place.line}`
      const expected = 'each path to belong to one service'
      faults.push({ place, found: first.service === service ? `${claimed} again` : found, expected })
    }
  }
  return faults
}

function byPosition({ place: a }: Fault, { place: b }: Fault): number {
  return 'line' in a && 'line' in b ? a.line - b.line || a.column - b.column : 0
}
