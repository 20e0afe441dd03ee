import type { DecidedEntry } from './decided-entries.ts'

/** A caller that a ledger names. Its claims are not in it. */
export interface SeenCaller {
  readonly issuer: string
  readonly subject: string
  /** Grants that gave it something, or would have in dry-run. */
  readonly namedBy: ReadonlySet<string>
}

export interface SeenCallers {
  /** In the order of their first entries. */
  readonly callers: readonly SeenCaller[]
  /** More there were, which were not kept. */
  readonly cut: boolean
}

/** About 0.5 KB each. */
const callersMax = 100_000

/** Each distinct caller once, the first so many of them. */
export async function callersIn(
  entries: AsyncIterable<DecidedEntry> | Iterable<DecidedEntry>,
  max: number = callersMax,
): Promise<SeenCallers> {
  const seen = new Map<string, SeenCaller & { readonly namedBy: Set<string> }>()
  let cut = false
  for await (const entry of entries) {
    if (entry.kind !== 'attempt') continue
    const { issuer, subject } = entry.caller
    const key = JSON.stringify([issuer, subject])
    const caller = seen.get(key) ?? { issuer, subject, namedBy: new Set() }
    if (!seen.has(key) && seen.size >= max) {
      cut = true
      continue
    }
    seen.set(key, caller)
    for (const name of entry.dryRun ?? []) caller.namedBy.add(name)
    if (entry.grant !== undefined) caller.namedBy.add(entry.grant)
  }
  return { callers: [...seen.values()], cut }
}
