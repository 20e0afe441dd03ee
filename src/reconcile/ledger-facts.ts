import { z } from 'zod'
import { genesis } from '../ledger/chain.ts'
import type { ChainFault, Link, Row } from '../ledger/chain.ts'
import type {
  CertificateLoaded,
  SignatureBegun,
  SignatureFailed,
  SignatureMade,
} from '../ledger/entry.ts'
import { LedgerFileError } from '../ledger/ledger-file.ts'
import { walkChain } from '../ledger/verify.ts'
import { parseJson } from './json-members.ts'
import { keyNameText, parseKeyUrl } from './key-name.ts'

/** What the ledger says of one signature. All of them are in memory, about 0.5 KB each. */
export interface SignatureFacts {
  readonly signature: string
  /** Absent only where somebody wrote entries that the service does not write. */
  begun?: BegunFacts
  /** Absent when the service died, or still waits for the vault. */
  outcome?: OutcomeFacts
}

export type BegunFacts = Pick<
  SignatureBegun,
  'atMs' | 'attempt' | 'application' | 'tenant' | 'keyId' | 'algorithm' | 'nonceSha256'
>
export type OutcomeFacts = MadeFacts | FailedFacts
export type MadeFacts = Pick<SignatureMade, 'kind' | 'atMs' | 'vaultRequestId'>
export type FailedFacts = Pick<SignatureFailed, 'kind' | 'atMs' | 'applied' | 'vaultRequestId'>

/** Where a ledger stops being what the service wrote. */
export type LedgerFault =
  | ChainFault
  /** This entry, or the file after it, cannot be read. */
  | { readonly fault: 'unreadable'; readonly sequence: number; readonly reason: string }

export interface LedgerFacts {
  /** By signature id, in the order of their first entries. */
  readonly signatures: ReadonlyMap<string, SignatureFacts>
  /** Keys that the service has used, whatever version, as `keyNameText` has them. */
  readonly keys: ReadonlySet<string>
  readonly entries: number
  /** The first one. What comes after it has been read all the same, and proves nothing. */
  readonly fault?: LedgerFault
}

const begunForm = z.object({
  kind: z.literal('signature.begun'),
  atMs: z.number(),
  signature: z.string(),
  attempt: z.string(),
  application: z.string(),
  tenant: z.string(),
  keyId: z.string(),
  algorithm: z.string(),
  nonceSha256: z.string(),
}) satisfies z.ZodType<BegunFacts & Pick<SignatureBegun, 'kind' | 'signature'>>

const madeForm = z.object({
  kind: z.literal('signature.made'),
  atMs: z.number(),
  signature: z.string(),
  vaultRequestId: z.string(),
}) satisfies z.ZodType<MadeFacts & Pick<SignatureMade, 'signature'>>

const failedForm = z.object({
  kind: z.literal('signature.failed'),
  atMs: z.number(),
  signature: z.string(),
  applied: z.enum(['no', 'unknown']),
  vaultRequestId: z.string().exactOptional(),
}) satisfies z.ZodType<FailedFacts & Pick<SignatureFailed, 'signature'>>

const loadedForm = z.object({
  kind: z.literal('certificate.loaded'),
  keyId: z.string(),
}) satisfies z.ZodType<Pick<CertificateLoaded, 'kind' | 'keyId'>>

const relevantForm = z.discriminatedUnion('kind', [begunForm, madeForm, failedForm, loadedForm])

/**
 * Canonical JSON has no white space, and a quotation mark inside a string is escaped: these bytes are
 * in an entry only as its member `kind`. Most entries are told apart by them without being parsed.
 */
const relevantKinds = ['begun', 'made', 'failed']
  .map((end) => `"kind":"signature.${end}"`)
  .concat('"kind":"certificate.loaded"')
  .map((text) => Buffer.from(text))

/** Takes a ledger once from end to end, verifies its chain, and keeps what it says of signatures. */
export class LedgerCollector {
  readonly #signatures = new Map<string, SignatureFacts>()
  readonly #keys = new Set<string>()
  /** One copy of each text that thousands of entries repeat. */
  readonly #shared = new Map<string, string>()
  #last: Link = genesis
  #entries = 0
  #fault: LedgerFault | undefined

  /**
   * All rows, or those that follow the ones before.
   *
   * @throws LedgerFileError when the file cannot be opened; damage further on is a fault.
   */
  take(rows: Iterable<Row>): void {
    try {
      for (const { row, fault } of walkChain(rows, this.#last)) {
        this.#fault ??= fault
        if (!this.#takeEntry(row)) this.#cannotRead(row.sequence, 'it is no entry')
        this.#last = row
        this.#entries += 1
      }
    } catch (error) {
      if (error instanceof LedgerFileError || !(error instanceof Error)) throw error
      this.#cannotRead(this.#last.sequence + 1, error.message)
    }
  }

  facts(): LedgerFacts {
    return {
      signatures: this.#signatures,
      keys: this.#keys,
      entries: this.#entries,
      ...(this.#fault === undefined ? {} : { fault: this.#fault }),
    }
  }

  #cannotRead(sequence: number, reason: string): void {
    this.#fault ??= { fault: 'unreadable', sequence, reason }
  }

  /** False when the row is no entry. */
  #takeEntry({ canonical }: Row): boolean {
    const bytes = Buffer.from(canonical.buffer, canonical.byteOffset, canonical.byteLength)
    if (!relevantKinds.some((kind) => bytes.includes(kind))) return true
    const { data: entry } = relevantForm.safeParse(parseJson(bytes.toString()))
    if (entry === undefined) return false
    if (entry.kind === 'certificate.loaded') this.#keyIdFrom(entry.keyId)
    else if (entry.kind === 'signature.begun') this.#takeBegun(entry)
    else this.#factsOf(entry.signature).outcome = entry
    return true
  }

  #takeBegun(entry: z.output<typeof begunForm>): void {
    const { signature, atMs, attempt, nonceSha256 } = entry
    this.#factsOf(signature).begun = {
      atMs,
      attempt,
      nonceSha256,
      application: this.#share(entry.application),
      tenant: this.#share(entry.tenant),
      algorithm: this.#share(entry.algorithm),
      keyId: this.#keyIdFrom(entry.keyId),
    }
  }

  #factsOf(signature: string): SignatureFacts {
    const known = this.#signatures.get(signature)
    if (known !== undefined) return known
    const created: SignatureFacts = { signature }
    this.#signatures.set(signature, created)
    return created
  }

  #keyIdFrom(text: string): string {
    const key = this.#shared.has(text) ? undefined : parseKeyUrl(text)
    if (key !== undefined) this.#keys.add(keyNameText(key))
    return this.#share(text)
  }

  #share(text: string): string {
    const known = this.#shared.get(text)
    if (known === undefined) this.#shared.set(text, text)
    return known ?? text
  }
}
