import { canonicalEntry, chainHash, genesisHash } from '../../src/ledger/chain.ts'
import type { Row } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'

/** The smallest entry there is, told from others by `version`. */
export const startedEntry = (version: string): Entry => ({
  kind: 'service.started',
  atMs: 1_790_000_000_000,
  version,
})

/** The rows that a ledger holds after these entries. */
export function chainedRows(entries: readonly Entry[]): readonly Row[] {
  let previous = genesisHash
  return entries.map((entry, index) => {
    const canonical = Buffer.from(canonicalEntry(entry))
    previous = chainHash(previous, canonical)
    return { sequence: index + 1, hash: previous, canonical }
  })
}
