import { z } from 'zod'
import { readKeptFile, replaceKeptFile } from '../base/kept-file.ts'
import { parseJson } from '../base/parse-json.ts'
import type { Link } from '../ledger/chain.ts'

/** What a witness has seen: small, its own, and what makes it a witness. */
export interface Witnessed {
  /** Whose ledger, by the name of its feed. */
  readonly feed: string
  /** Of the key that it witnesses with. */
  readonly keyId: string
  /** Tells ledgers apart: base64url of the hash of the first entry. */
  readonly ledger: string
  /** Where reading goes on: the newest head that was witnessed, or the beginning of what there was to read. */
  readonly from: Link
  /** The last entry that was seen. */
  readonly seen: Link
  /** The newest head that was witnessed, compact; absent: none was. */
  readonly head?: string
  /** When a head was last seen that was new, by the clock of the witness; before the first one, when it began. */
  readonly grewAtMs: number
}

/** A file of its own, replaced as a whole and synced. */
export interface WitnessStore {
  /** Undefined before the first time. @throws WitnessStoreError */
  load(): Promise<Witnessed | undefined>
  /** Durable when it resolves, whole or not at all. @throws WitnessStoreError */
  save(witnessed: Witnessed): Promise<void>
}

export type WitnessStoreErrorCode =
  | 'WITNESS_STORE_FAILED' // cannot be read or written
  | 'WITNESS_STORE_UNREADABLE' // is none, or damaged: look for what became of it before you remove it
  | 'WITNESS_STORE_FOREIGN' // of another feed, key or ledger

export class WitnessStoreError extends Error {
  override readonly name = 'WitnessStoreError'
  readonly code: WitnessStoreErrorCode

  constructor(code: WitnessStoreErrorCode, options?: ErrorOptions) {
    super(code, options)
    this.code = code
  }
}

const linkForm = z
  .strictObject({ sequence: z.int().min(0), hash: z.string().regex(/^[0-9a-f]{64}$/) })
  .transform(({ sequence, hash }): Link => ({ sequence, hash: Buffer.from(hash, 'hex') }))

const storeForm = z.strictObject({
  kind: z.literal('countersign-witness'),
  version: z.literal(1),
  feed: z.string(),
  keyId: z.string(),
  ledger: z.string().regex(/^[\w-]{43}$/),
  from: linkForm,
  seen: linkForm,
  head: z.string().exactOptional(),
  grewAtMs: z.number(),
})

export function createWitnessStore(file: string): WitnessStore {
  return {
    load: async () => {
      const text = await readKeptFile(file).catch(failed)
      if (text === undefined) return undefined
      const found = storeForm.safeParse(parseJson(text))
      // To begin anew would be to forget what was seen: that is for a person to decide.
      if (!found.success) throw new WitnessStoreError('WITNESS_STORE_UNREADABLE')
      const { feed, keyId, ledger, from, seen, head, grewAtMs } = found.data
      return { feed, keyId, ledger, from, seen, grewAtMs, ...(head === undefined ? {} : { head }) }
    },
    save: async ({ from, seen, ...others }) => {
      const written = {
        kind: 'countersign-witness',
        version: 1,
        ...others,
        from: linkText(from),
        seen: linkText(seen),
      }
      await replaceKeptFile(file, `${JSON.stringify(written)}\n`, 0o600).catch(failed)
    },
  }
}

const linkText = ({ sequence, hash }: Link) => ({
  sequence,
  hash: Buffer.from(hash).toString('hex'),
})

function failed(cause: unknown): never {
  throw new WitnessStoreError('WITNESS_STORE_FAILED', { cause })
}
