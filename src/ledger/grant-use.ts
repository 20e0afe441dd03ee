import type { DecidedEntry } from './decided-entries.ts'

/** What a ledger says of one grant. */
export interface GrantUse {
  /** Last time that it gave something; absent: never. */
  readonly lastUsedMs?: number
  /** Last time that it would have, in dry-run; absent: never. */
  readonly lastTriedMs?: number
  /** A time from which on it was surely there; absent: not known. */
  readonly knownSinceMs?: number
}

/**
 * What a ledger says of the grants of a folder.
 *
 * @param grants Names in the folder.
 * @param sha256 Of the folder, as `policy.loaded` has it: grants that no entry names are known to have
 *   been there only when this is what the service loaded last.
 */
export async function grantUseIn(
  entries: AsyncIterable<DecidedEntry> | Iterable<DecidedEntry>,
  grants: Iterable<string>,
  sha256: string,
): Promise<ReadonlyMap<string, GrantUse>> {
  const uses = new Map<string, MutableUse>([...grants].map((name) => [name, {}]))
  let loaded: Loaded | undefined
  for await (const entry of entries) {
    if (entry.kind === 'policy.loaded') {
      loaded = loadedAfter(loaded, entry)
      noteLoaded(uses, entry)
    } else noteAttempt(uses, entry)
  }
  const listedSinceMs = loaded?.sha256 === sha256 ? loaded.listedSinceMs : undefined
  return new Map([...uses].map(([name, use]) => [name, withSince(use, listedSinceMs)]))
}

type MutableUse = { -readonly [Member in keyof GrantUse]: GrantUse[Member] }
type PolicyEntry = DecidedEntry & { readonly kind: 'policy.loaded' }
type AttemptEntry = DecidedEntry & { readonly kind: 'attempt' }

interface Loaded {
  readonly sha256: string
  /** Every grant that was added later than this is in the lists of an entry. */
  readonly listedSinceMs: number
}

/** A start says no names, and a long list is cut: whatever differs then may have been added then. */
function loadedAfter(before: Loaded | undefined, entry: PolicyEntry): Loaded {
  const { sha256, added, cut, atMs } = entry
  const isSame = sha256 === before?.sha256
  const isListed = added !== undefined && cut === undefined
  if (before !== undefined && (isSame || isListed)) {
    return { sha256, listedSinceMs: before.listedSinceMs }
  }
  return { sha256, listedSinceMs: atMs }
}

function noteLoaded(uses: ReadonlyMap<string, MutableUse>, entry: PolicyEntry): void {
  const { added = [], removed = [], changed = [], atMs } = entry
  for (const name of changed) note(uses.get(name), atMs)
  for (const name of removed) delete uses.get(name)?.knownSinceMs
  for (const name of added) {
    const use = uses.get(name)
    if (use !== undefined) use.knownSinceMs = atMs
  }
}

function noteAttempt(uses: ReadonlyMap<string, MutableUse>, entry: AttemptEntry): void {
  const { atMs, grant, dryRun = [] } = entry
  const used = grant === undefined ? undefined : uses.get(grant)
  note(used, atMs)
  if (used !== undefined) used.lastUsedMs = Math.max(used.lastUsedMs ?? atMs, atMs)
  for (const name of dryRun) {
    const tried = uses.get(name)
    note(tried, atMs)
    if (tried !== undefined) tried.lastTriedMs = Math.max(tried.lastTriedMs ?? atMs, atMs)
  }
}

function note(use: MutableUse | undefined, atMs: number): void {
  if (use !== undefined) use.knownSinceMs ??= atMs
}

const withSince = (use: GrantUse, listedSinceMs: number | undefined): GrantUse =>
  use.knownSinceMs === undefined && listedSinceMs !== undefined
    ? { ...use, knownSinceMs: listedSinceMs }
    : use

/** `young`: it was not there so long, as far as the ledger knows. */
export type GrantStandingInUse = 'used' | 'unused' | 'young'

/** Whether a grant was used, or tried in dry-run, in the last `periodMs`. */
export function standingIn(
  { lastUsedMs, lastTriedMs, knownSinceMs }: GrantUse,
  nowMs: number,
  periodMs: number,
): GrantStandingInUse {
  const startMs = nowMs - periodMs
  if (Math.max(lastUsedMs ?? startMs, lastTriedMs ?? startMs) > startMs) return 'used'
  return knownSinceMs !== undefined && knownSinceMs <= startMs ? 'unused' : 'young'
}
