import {
  isCollection,
  isMap as isYamlMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type YAMLMap,
  type YAMLError,
} from 'yaml'
import { printable } from '../base/printable.ts'

/** Keys and indices from the top of a document: `['issuers', 'github', 'algorithms', 0]`. */
export type YamlPath = readonly (string | number)[]

/** A YAML file as plain values, knowing where each of them stands. */
export interface YamlDocument {
  /** What the text says; maps are plain objects. */
  readonly value: unknown
  /** 1-based line of a key or list item; of the nearest thing around it when it is not there. */
  lineOf(path: YamlPath): number
}

/** Something that is wrong with a text as YAML, whatever it means. */
export interface YamlFault {
  readonly line: number
  readonly rule: string
  readonly message: string
}

export interface YamlReading {
  /** Absent when the text is too broken to say what it means. */
  readonly document?: YamlDocument
  readonly faults: readonly YamlFault[]
}

/** Whether a plain value is a map; a list is none. */
export const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Longest text that is read, in characters: operators write far less, and reading has a bound. */
const textLengthMax = 1_000_000

/**
 * Reads one document of YAML 1.2 (core schema: `yes` is a text, a date is a text). Never throws.
 *
 * Anchors, aliases and tags are refused: who reviews a grant should see all of it where it stands,
 * and a text without them cannot grow while it is read.
 */
export function parseYaml(text: string): YamlReading {
  if (text.length > textLengthMax) {
    const message = `The file has more than ${textLengthMax} characters: split it.`
    return { faults: [{ line: 1, rule: 'yaml.too-long', message }] }
  }
  const lines = new LineCounter()
  const lineAt = (offset: number) => Math.max(1, lines.linePos(offset).line)
  const document = parseDocument(text, {
    lineCounter: lines,
    // Not `silent`, which would leave out that a second document follows.
    logLevel: 'error',
    prettyErrors: false,
    stringKeys: true,
    // Compares every key with every other, which takes minutes where there are many: see below.
    uniqueKeys: false,
  })
  if (document.errors.length > 0) return { faults: syntaxFaults(document.errors, lineAt) }

  const faults = onceALine(refusedNodes(document), lineAt)
  if (faults.some(({ rule }) => rule !== 'yaml.duplicate-key')) return { faults }
  if (document.contents === null) return { faults: [...faults, emptyFault] }
  return { faults, document: { value: document.toJS(), lineOf: lineFinder(document, lineAt) } }
}

interface FaultAt {
  readonly offset: number
  readonly rule: string
  readonly message: string
}

const emptyFault: YamlFault = {
  line: 1,
  rule: 'yaml.empty',
  message: 'The file says nothing: write its settings, or remove it.',
}

/** By line, and each rule once a line: what is written there is looked at as a whole. */
function onceALine(
  faults: readonly FaultAt[],
  lineAt: (offset: number) => number,
): readonly YamlFault[] {
  const byLine = new Map<string, YamlFault>()
  for (const { offset, rule, message } of faults.toSorted((a, b) => a.offset - b.offset)) {
    const line = lineAt(offset)
    if (!byLine.has(`${line} ${rule}`)) byLine.set(`${line} ${rule}`, { line, rule, message })
  }
  return [...byLine.values()]
}

function syntaxFaults(
  errors: readonly YAMLError[],
  lineAt: (offset: number) => number,
): readonly YamlFault[] {
  if (errors.some(({ code }) => code === 'RESOURCE_EXHAUSTION')) return [tooDeepFault]
  const faults = errors.map((error) => ({ offset: error.pos[0], ...syntaxFault(error) }))
  return onceALine(faults, lineAt).slice(0, syntaxFaultsMax)
}

/** One slip can make the rest of a file look wrong; more than this helps nobody. */
const syntaxFaultsMax = 10

const tooDeepFault: YamlFault = {
  line: 1,
  rule: 'yaml.too-deep',
  message: 'Lists or maps are nested too deeply to be read: write the file flat.',
}

function syntaxFault({ code, message }: YAMLError): Omit<YamlFault, 'line'> {
  if (code === 'TAB_AS_INDENT') {
    return { rule: 'yaml.tab', message: 'A tab indents this line: indent with spaces.' }
  }
  if (code === 'MULTIPLE_DOCS') {
    const remedy = 'A second document begins here: give it a file of its own.'
    return { rule: 'yaml.several-documents', message: remedy }
  }
  if (code === 'NON_STRING_KEY') {
    return { rule: 'yaml.key', message: 'A key is a list or a map here: write a plain name.' }
  }
  const detail = printable(message, detailLengthMax)
  return { rule: 'yaml.syntax', message: `This is not YAML: correct it (${detail}).` }
}

/** The parser may repeat a piece of the text in its messages. */
const detailLengthMax = 120

/** What is YAML, or nearly, and is not taken here. */
function refusedNodes(document: Document): readonly FaultAt[] {
  const faults: FaultAt[] = []
  visit(document, {
    Alias: (_, { range }) => {
      faults.push(aliasFault(range?.[0] ?? 0))
    },
    Node: (_, node) => {
      const offset = node.range?.[0] ?? 0
      if (node.anchor !== undefined) faults.push(aliasFault(offset))
      if (node.tag !== undefined) faults.push(tagFault(offset))
      if (isYamlMap(node)) faults.push(...refusedKeys(node))
    },
  })
  return faults
}

function refusedKeys(map: YAMLMap): readonly FaultAt[] {
  const seen = new Set<string | undefined>()
  return map.items.flatMap(({ key }) => {
    const [name, offset] = [keyText(key), keyOffset(key)]
    const again = seen.has(name)
    seen.add(name)
    // A parser further on may take it for the object's prototype and drop it, and a claim with it.
    if (name === '__proto__') return [prototypeFault(offset)]
    return again ? [duplicateKeyFault(offset)] : []
  })
}

const duplicateKeyFault = (offset: number): FaultAt => ({
  offset,
  rule: 'yaml.duplicate-key',
  message: 'This key is in its map twice: keep one of them.',
})

const aliasFault = (offset: number): FaultAt => ({
  offset,
  rule: 'yaml.alias',
  message: 'Anchors (&) and aliases (*) are not read: write the value where it is used.',
})

const tagFault = (offset: number): FaultAt => ({
  offset,
  rule: 'yaml.tag',
  message: 'Tags (!) are not read: write the plain value, in quotes if it is a text.',
})

const prototypeFault = (offset: number): FaultAt => ({
  offset,
  rule: 'yaml.key',
  message: 'No key may be called __proto__: use another name.',
})

function lineFinder(document: Document, lineAt: (offset: number) => number) {
  return (path: YamlPath): number => {
    let node: unknown = document.contents
    let offset = rangeStart(node)
    for (const step of path) {
      const found = child(node, step)
      if (found === undefined) break
      node = found.node
      offset = found.offset
    }
    return lineAt(offset)
  }
}

/** A map's entry stands where its key stands, a list's item where it begins. */
function child(
  node: unknown,
  step: string | number,
): { readonly node: unknown; readonly offset: number } | undefined {
  if (isYamlMap(node)) {
    // Of duplicate keys the last one has its say, as in the value.
    const pair = node.items.findLast(({ key }) => keyText(key) === String(step))
    return pair === undefined ? undefined : { node: pair.value, offset: keyOffset(pair.key) }
  }
  if (!isSeq(node) || typeof step !== 'number') return undefined
  const item = node.items[step]
  return item === undefined ? undefined : { node: item, offset: rangeStart(item) }
}

const keyText = (key: unknown) => (isScalar(key) ? String(key.value) : undefined)
const keyOffset = (key: unknown) => rangeStart(key)

const rangeStart = (node: unknown): number =>
  isScalar(node) || isCollection(node) ? (node.range?.[0] ?? 0) : 0
