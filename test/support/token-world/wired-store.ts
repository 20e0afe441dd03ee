import type {
  SealedToken,
  SharedTokens,
  StoredToken,
} from '../../../src/token-cache/shared-tokens.ts'
import type { TokenKeyText } from '../../../src/token-cache/token-key.ts'
import { withDeadline } from '../../../src/base/deadline.ts'
import type { Air } from './air.ts'

/** What somebody who can write the tables has made of a row; undefined: there is none. */
export type Alteration = (
  row: StoredToken,
  rowOf: (key: TokenKeyText) => Promise<StoredToken | undefined>,
) => Promise<StoredToken | undefined>

/** Rows that are not what was stored, until something is stored there again or dropped. */
export type Altered = Map<TokenKeyText, Alteration>

/** No statement takes as long: then it fails, and nothing is done. */
export const statementMaxMs = 2000

/** What a replica sees of the store: each request takes its time on the way, and what is read is old when it arrives. */
export function wiredStore(
  store: SharedTokens,
  air: Air,
  altered: Altered,
  events: {
    readonly onStored: (key: TokenKeyText, row: SealedToken) => Promise<void>
    readonly onRemoved: (keys: readonly TokenKeyText[]) => void
    /** A row that is not what was stored has arrived. */
    readonly onAltered: (row: StoredToken) => void
  },
): SharedTokens {
  const renewing = new Set<string>()
  const asking = async <T>(act: () => Promise<T>): Promise<T> => {
    await withDeadline(statementMaxMs, () => air.pass())
    return act()
  }
  const reading = async <T>(act: () => Promise<T>): Promise<T> => {
    const read = await asking(act)
    await withDeadline(statementMaxMs, () => air.pass())
    return read
  }
  return {
    find: async (key) => {
      const { row, isAltered } = await reading(async () => {
        const stored = await store.find(key)
        const alter = altered.get(key)
        return alter === undefined || stored === undefined
          ? { row: stored, isAltered: false }
          : { row: await alter(stored, (other) => store.find(other)), isAltered: true }
      })
      if (isAltered && row !== undefined) events.onAltered(row)
      return row
    },
    lead: (key) => asking(() => store.lead(key)),
    flight: (key) => asking(() => store.flight(key)),
    renew: async (lease) => {
      // While one is under way the next ones get lost: minutes that pass at once would make hundreds.
      if (renewing.has(lease.id)) return new Promise(() => undefined)
      renewing.add(lease.id)
      try {
        return await asking(() => store.renew(lease))
      } finally {
        renewing.delete(lease.id)
      }
    },
    land: (lease, token) =>
      asking(async () => {
        const isLanded = await store.land(lease, token)
        if (!isLanded) return false
        altered.delete(lease.key)
        await events.onStored(lease.key, token)
        return true
      }),
    giveUp: (lease, failure) => asking(() => store.giveUp(lease, failure)),
    list: (after) => reading(() => store.list(after)),
    drop: (keys) =>
      asking(async () => {
        for (const key of keys) altered.delete(key)
        await store.drop(keys)
        events.onRemoved(keys)
      }),
    remove: (listed) => asking(() => store.remove(listed)),
    dropsSince: (epoch) => reading(() => store.dropsSince(epoch)),
    tidy: () => asking(() => store.tidy()),
    watch: (key, listener) => store.watch(key, listener),
    watchDrops: (listener) => {
      store.watchDrops(listener)
    },
  }
}
