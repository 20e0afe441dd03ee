import type { Row } from '../ledger/chain.ts'
import { LedgerFileError } from '../ledger/ledger-file.ts'
import { EntryReader } from './relevant-entry.ts'
import type { BegunFacts, SignatureBook, SignatureFacts } from './signature-book.ts'

/** Signatures of which more has to be known than was kept. */
export interface WantedEvidence {
  /** Ordinals in the book of those that the vault has answered. */
  readonly answered: ReadonlySet<number>
  /** Hashes of nonces. */
  readonly nonces: ReadonlySet<string>
}

/** What the ledger says of them. */
export interface EntryEvidence {
  readonly answered: ReadonlyMap<number, SignatureFacts>
  readonly byNonce: ReadonlyMap<string, SignatureFacts>
}

/** Reads a ledger once more for what is wanted; nothing when nothing is. */
export async function evidenceFrom(
  pages: () => AsyncIterable<Iterable<Row>>,
  book: SignatureBook,
  wanted: WantedEvidence,
): Promise<EntryEvidence> {
  const collector = new EvidenceCollector(book, wanted)
  if (wanted.answered.size + wanted.nonces.size === 0) return collector
  try {
    for await (const page of pages()) for (const row of page) collector.take(row)
  } catch (error) {
    // From there on it could not be read the first time either, and that is a finding.
    if (error instanceof LedgerFileError || !(error instanceof Error)) throw error
  }
  return collector
}

class EvidenceCollector implements EntryEvidence {
  readonly #reader = new EntryReader()
  readonly answered = new Map<number, SignatureFacts>()
  readonly byNonce = new Map<string, SignatureFacts>()
  readonly #open = new Map<string, BegunFacts>()
  readonly #book: SignatureBook
  readonly #wanted: WantedEvidence

  constructor(book: SignatureBook, wanted: WantedEvidence) {
    this.#book = book
    this.#wanted = wanted
  }

  take({ canonical }: Row): void {
    const entry = this.#reader.read(canonical)
    if (entry === undefined || entry === 'other') return
    if (entry.kind === 'begun') {
      const { signature, begun } = entry
      this.#open.set(signature, begun)
      if (this.#wanted.nonces.has(begun.nonceSha256)) {
        this.byNonce.set(begun.nonceSha256, { signature, begun })
      }
    } else if (entry.kind === 'ended') {
      const { signature, outcome } = entry
      const begun = this.#open.get(signature)
      this.#open.delete(signature)
      const ordinal =
        outcome.vaultRequestId === undefined ? undefined : this.#book.find(outcome.vaultRequestId)
      if (ordinal === undefined || !this.#wanted.answered.has(ordinal)) return
      // The first that claimed the id, as the book has it.
      if (this.answered.has(ordinal)) return
      this.answered.set(ordinal, { signature, ...(begun === undefined ? {} : { begun }), outcome })
    }
  }
}
