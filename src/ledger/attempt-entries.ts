import { isObject, type Members } from '../base/json-object.ts'
import { parseJson } from '../base/parse-json.ts'
import type { Row } from './chain.ts'

/** An id that entries name, and when they were written, or later. */
export interface WantedId {
  readonly id: string
  /** Milliseconds since the Unix epoch, about. */
  readonly nearMs: number
}

export interface FoundRows {
  /** In any order; those that name an id only in a text of others may be among them. */
  readonly rows: readonly Row[]
  /** Whether every row that could be meant was looked at. */
  readonly complete: boolean
}

/** Finds stored rows by what they say, unverified. */
export interface EntrySearch {
  rowsNaming(wanted: readonly WantedId[]): Promise<FoundRows>
}

/** What a ledger has of one attempt. */
export interface AttemptEntries {
  /** In their order. */
  readonly rows: readonly Row[]
  readonly complete: boolean
}

/** An attempt, its signature, the attempt that obtained its token, and the signature of that one. */
const roundsMax = 4

/** An assertion is published when it has been dead for so long. */
const provedAfterMs = 10 * 60_000

/**
 * Everything that belongs to an attempt: how it was decided and how it ended; its exchange and its signature,
 * also where another attempt began them; and the exchange that obtained its token, where that was another's. All
 * ids are UUIDv7 and tell when they were made.
 *
 * @param attempt Lower case.
 */
export async function attemptEntries(
  attempt: string,
  search: EntrySearch,
  nowMs: number,
): Promise<AttemptEntries> {
  const story = createStory(attempt)
  let complete = true
  let wanted: readonly WantedId[] = [{ id: attempt, nearMs: timeOfId(attempt) }]
  for (let round = 0; round < roundsMax && wanted.length > 0; round += 1) {
    const found = await search.rowsNaming(wanted)
    complete &&= found.complete
    wanted = story.take(found.rows).filter(({ nearMs }) => nearMs <= nowMs)
  }
  return { rows: story.rows(), complete }
}

/** Milliseconds since the Unix epoch, of a UUIDv7 (RFC 9562 §5.7). */
const timeOfId = (id: string): number => Number.parseInt(id.replace('-', '').slice(0, 12), 16)

/** The entries that belong to it, and what to look for because of them. */
function createStory(attempt: string) {
  const kept = new Map<number, Row>()
  const signatures = new Set<unknown>()
  const attempts = new Set<unknown>([attempt])
  const asked = new Set<string>()

  const ask = (wanted: readonly WantedId[]) =>
    wanted.filter(({ id, nearMs }) => {
      const name = `${id} ${nearMs}`
      const isNew = !asked.has(name)
      asked.add(name)
      return isNew
    })
  const isOfIt = (entry: Members) =>
    entry['attempt'] === attempt ||
    signatures.has(entry['signature']) ||
    // What others were given with its token is theirs.
    (attempts.has(entry['attempt']) && entry['kind'] !== 'token.issued')

  return {
    /** Returns what is to be looked for now. */
    take: (rows: readonly Row[]): readonly WantedId[] => {
      const next: WantedId[] = []
      for (const row of rows) {
        const entry = entryIn(row)
        if (entry === undefined || kept.has(row.sequence) || !isOfIt(entry)) continue
        kept.set(row.sequence, row)
        const { signature, obtainedBy, expiresAtSeconds, kind } = entry
        if (isId(signature)) {
          signatures.add(signature)
          next.push({ id: signature, nearMs: timeOfId(signature) })
          if (kind === 'signature.begun' && typeof expiresAtSeconds === 'number') {
            next.push({ id: signature, nearMs: expiresAtSeconds * 1000 + provedAfterMs })
          }
        }
        if (isId(obtainedBy)) {
          attempts.add(obtainedBy)
          next.push({ id: obtainedBy, nearMs: timeOfId(obtainedBy) })
        }
      }
      return ask(next)
    },
    rows: (): readonly Row[] => [...kept.values()].sort((a, b) => a.sequence - b.sequence),
  }
}

const idForm = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const isId = (value: unknown): value is string => typeof value === 'string' && idForm.test(value)

/** Undefined for what somebody has put there that is no entry. */
export function entryIn({ canonical }: Row): Members | undefined {
  const value = parseJson(Buffer.from(canonical).toString())
  return isObject(value) ? value : undefined
}

/** Whether the row has one of the texts in it, whatever that is there. */
export const namesOneOf =
  (ids: readonly string[]): ((row: Row) => boolean) =>
  ({ canonical }) => {
    const bytes = Buffer.from(canonical.buffer, canonical.byteOffset, canonical.byteLength)
    return ids.some((id) => bytes.includes(id))
  }
