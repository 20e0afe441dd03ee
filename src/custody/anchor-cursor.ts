import type { KeyObject } from 'node:crypto'
import { type AnchorLine, type KeptHead, readAnchorFile } from './anchored-heads.ts'
import type { HeadStatement } from './head.ts'

/** Where heads are kept besides the ledger, and who has put them there. */
export interface AnchorPlace {
  readonly kind: 'anchor' | 'witness' | 'workspace'
  /** For people. */
  readonly name: string
  readonly file: string
  /** Undefined where nobody has witnessed them. */
  readonly witnessKeys?: readonly KeyObject[]
}

/** What was found in the file of an anchor or a witness, or in a workspace. */
export interface AnchorFound {
  /** Its path, or the name of the workspace. */
  readonly file: string
  readonly kind: AnchorPlace['kind']
  /** Heads that verify and that this ledger fits. */
  readonly verified: number
  /** Signed, or witnessed, with a key that nobody knows or that was not given. */
  readonly unknownKey: number
  /** Lines that hold no head. */
  readonly unread: number
  /** That came too late to be compared: they are older than a million entries before their neighbours. */
  readonly notCompared: number
  /** For entries that were pruned and are not here. */
  readonly beforeCut: number
  readonly newest?: Pick<HeadStatement, 'sequence' | 'atMs'>
}

/** How far such a place is read, and what was found in it so far. */
export class AnchorCursor {
  readonly place: AnchorPlace
  readonly counts = { verified: 0, unknownKey: 0, unread: 0, notCompared: 0, beforeCut: 0 }
  readonly #lines: Generator<AnchorLine, void, undefined>
  #next: KeptHead | undefined
  #newest: HeadStatement | undefined

  /** @throws Error of the system when it cannot be read. */
  constructor(place: AnchorPlace) {
    this.place = place
    this.#lines = readAnchorFile(place.file)
    this.advance()
  }

  /** Not looked at yet. */
  get next(): KeptHead | undefined {
    return this.#next
  }

  get kind(): AnchorFound['kind'] {
    return this.place.kind
  }

  get agreedUpTo(): number {
    return this.#newest?.sequence ?? 0
  }

  get found(): AnchorFound {
    return { file: this.place.name, kind: this.kind, ...this.counts, ...newestOf(this.#newest) }
  }

  advance(): void {
    this.#next = undefined
    for (let line = this.#lines.next(); line.done !== true; line = this.#lines.next()) {
      if (line.value.kind === 'head') {
        this.#next = line.value.head
        return
      }
      this.counts.unread += 1
    }
  }

  agreed(statement: HeadStatement): void {
    this.counts.verified += 1
    if (statement.sequence > this.agreedUpTo) this.#newest = statement
  }
}

/** The last entry that any of them has a head for that fits; undefined: none has. */
export function newestIn(anchors: readonly AnchorFound[]): number | undefined {
  const sequences = anchors.flatMap(({ newest }) => newest?.sequence ?? [])
  return sequences.length === 0 ? undefined : Math.max(...sequences)
}

/** Which head it is, for people. */
export const nameOf = ({ sequence, atMs }: HeadStatement) => ({ sequence, atMs })

export const newestOf = (newest: HeadStatement | undefined) =>
  newest === undefined ? {} : { newest: nameOf(newest) }
