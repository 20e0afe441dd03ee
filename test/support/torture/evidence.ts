import type { ExchangeRecord } from '../../../src/emulator/entra/exchange-log.ts'
import type { VaultRecord } from '../../../src/emulator/vault-log/record.ts'
import type { Entry, EntryKind } from '../../../src/ledger/entry.ts'
import type { Place } from './cast.ts'
import type { Heard } from './clients.ts'

/** What everybody says: the service's ledger, its clients, the vault's log and Entra's. */
export interface Evidence {
  readonly places: readonly Place[]
  /** Origin of the emulated Entra. */
  readonly authority: string
  readonly entries: readonly Entry[]
  readonly heard: readonly Heard[]
  readonly records: readonly VaultRecord[]
  readonly exchanges: readonly ExchangeRecord[]
}

export type EntryOf<Kind extends EntryKind> = Extract<Entry, { kind: Kind }>

export const entriesOf = <Kind extends EntryKind>(
  entries: readonly Entry[],
  kind: Kind,
): readonly EntryOf<Kind>[] =>
  entries.filter((entry): entry is EntryOf<Kind> => entry.kind === kind)

/** By a member that is different in each; where it is not, the last. */
export const by = <T, Key>(items: readonly T[], keyOf: (item: T) => Key): ReadonlyMap<Key, T> =>
  new Map(items.map((item) => [keyOf(item), item]))
