import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import type { Environment } from '../discovery/source.ts'
import type { Steps } from '../slices.ts'
import { type Fault, type FilePlace, shown } from './fault.ts'
import { hidePlaceholders, showPlaceholders, substitute } from './placeholders.ts'
import { parseDocumentInSteps } from './yaml-document.ts'
import { syntaxFaults } from './yaml-syntax.ts'

/** A YAML value that knows where it stands. */
export interface YamlNode {
  /** As plain JavaScript, `${NAME}` replaced. */
  readonly value: unknown
  readonly place: FilePlace
  /** What the author wrote, for a fault: never what a placeholder stands for. */
  readonly found: string
  /** A mapping's entries by key, with the key's own place. */
  readonly entries?: ReadonlyMap<string, YamlEntry>
  readonly items?: readonly YamlNode[]
}

interface YamlEntry {
  readonly key: FilePlace
  readonly node: YamlNode
}

export interface YamlTree {
  /** Undefined where the file is empty or not YAML. */
  readonly root: YamlNode | undefined
  readonly faults: readonly Fault[]
}

// Aliases may make a small file expand without end. What is written out is bounded by the file itself: only what
// stands beneath an alias is counted, and may be far more than any honest file has, for its size.
const leastCopies = 100_000
const deepest = 40

/** Reads YAML text; `file` is its name in faults, `environment` what `${NAME}` stands for. Never throws. */
export function* parseYamlTree(file: string, text: string, environment: Environment): Steps<YamlTree> {
  const lines = new LineCounter()
  const placeAt = (offset: number, key = ''): FilePlace => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1), key }
  }
  const document = yield* parseDocumentInSteps(hidePlaceholders(text), lines)
  yield
  if (document.errors.length + document.warnings.length > 0) {
    return { root: undefined, faults: syntaxFaults(document, text, placeAt) }
  }
  const { contents } = document
  if (contents === null || (isScalar(contents) && contents.value === null)) {
    return { root: undefined, faults: [] }
  }
  return buildTree({ document, contents, text, environment, placeAt })
}

interface Build {
  readonly document: Document
  readonly contents: Node
  readonly text: string
  readonly environment: Environment
  placeAt(offset: number, key?: string): FilePlace
}

function buildTree({ document, contents, text, environment, placeAt }: Build): YamlTree {
  const faults: Fault[] = []
  const mostCopies = Math.max(leastCopies, text.length)
  const targetOf = createAliasLookup(document)
  /** How many aliases lead to what is being looked at. */
  let within = 0
  let copies = 0
  let exhausted = false

  const build = (given: unknown, key: string, depth: number, fallback: number): YamlNode => {
    const place = placeAt((given as Node | null)?.range?.[0] ?? fallback, key)
    const nothing: YamlNode = { value: undefined, place, found: 'nothing' }
    if (exhausted) return nothing
    if (copies > mostCopies || depth > deepest) {
      exhausted = true
      faults.push({ place, found: 'more levels or aliases than make sense', expected: 'a smaller file' })
      return nothing
    }
    if (!isAlias(given)) return buildNode(given, key, depth, fallback, nothing)
    const target = targetOf(given)
    if (target === undefined) {
      faults.push({ place, found: `an alias of no anchor, *${given.source}`, expected: 'a value' })
      return nothing
    }
    within += 1
    const built = buildNode(target, key, depth, fallback, nothing)
    within -= 1
    return built
  }

  const buildNode = (
    node: unknown,
    key: string,
    depth: number,
    fallback: number,
    nothing: YamlNode,
  ): YamlNode => {
    const { place } = nothing
    if (isMap(node)) return buildMap(node, key, depth, place)
    if (isSeq(node)) return buildList(node, key, depth, place)
    if (!isScalar(node) || node.value === null) return { ...nothing, value: null }
    const from = node.range?.[0] ?? fallback
    const source = text.slice(from, node.range?.[1] ?? from)
    if (typeof node.value !== 'string')
      return { value: node.value, place, found: shown(source).slice(1, -1) || 'nothing' }
    const { value, problems } = substitute(node.value, environment)
    for (const { placeholder, ...problem } of problems) {
      const offset = text.indexOf(placeholder, from)
      faults.push({ place: placeAt(offset === -1 ? from : offset, key), ...problem })
    }
    const found = shown(showPlaceholders(node.value))
    return { value: problems.length > 0 ? undefined : value, place, found }
  }

  const buildMap = (map: YAMLMap, key: string, depth: number, place: FilePlace): YamlNode => {
    const entries = new Map<string, YamlEntry>()
    // Without a prototype, so that a key such as __proto__ is a key like any other.
    const value: Record<string, unknown> = Object.create(null)
    for (const pair of map.items as Pair<unknown, unknown>[]) {
      if (exhausted) break
      if (within > 0) copies += 1
      const keyNode = isAlias(pair.key) ? targetOf(pair.key) : pair.key
      const offset = (pair.key as Node | null)?.range?.[0] ?? map.range?.[0] ?? 0
      if (isCollection(keyNode) || !isScalar(keyNode) || keyNode.value === null) {
        faults.push({ place: placeAt(offset, key), found: 'a key that is not text', expected: 'a plain key' })
        continue
      }
      // In YAML 1.1 the key of a merge is a symbol.
      const { value: written } = keyNode
      const name = showPlaceholders(
        typeof written === 'symbol' ? (written.description ?? '') : String(written),
      )
      const path = key === '' ? name : `${key}.${name}`
      const first = entries.get(name)
      if (first !== undefined) {
        const found = `the key again (first at line ${first.key.line})`
        faults.push({ place: placeAt(offset, path), found, expected: 'each key once' })
        continue
      }
      const node = build(pair.value, path, depth + 1, offset)
      entries.set(name, { key: placeAt(offset, path), node })
      value[name] = node.value
    }
    return { value, place, found: 'a mapping', entries }
  }

  const buildList = (list: YAMLSeq, key: string, depth: number, place: FilePlace): YamlNode => {
    const start = list.range?.[0] ?? 0
    if (within > 0) copies += list.items.length
    const items = list.items.map((item, index) => build(item, `${key}[${index}]`, depth + 1, start))
    const found = items.length === 0 ? 'an empty list' : 'a list'
    return { value: items.map((item) => item.value), place, found, items }
  }

  return { root: build(contents, '', 0, 0), faults }
}

/**
 * What aliases stand for: of the anchors of that name the last one before. The library's own `resolve` walks all of
 * the document for each.
 */
function createAliasLookup(document: Document): (alias: Alias) => Node | undefined {
  let targets: Map<Alias, Node | undefined> | undefined
  return (alias) => {
    targets ??= resolveAliases(document)
    return targets.get(alias)
  }
}

function resolveAliases(document: Document): Map<Alias, Node | undefined> {
  const targets = new Map<Alias, Node | undefined>()
  const anchors = new Map<string, Node>()
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) targets.set(node, anchors.get(node.source))
      else if (node.anchor !== undefined) anchors.set(node.anchor, node)
    },
  })
  return targets
}

/** The node that a path of keys and indexes leads to, or the last one on the way that exists. */
export function nodeAt(root: YamlNode, path: readonly PropertyKey[]): YamlNode {
  let node = root
  for (const step of path) {
    const next = typeof step === 'number' ? node.items?.[step] : node.entries?.get(String(step))?.node
    if (next === undefined) break
    node = next
  }
  return node
}
