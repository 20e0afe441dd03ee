import type { WrappedDataKey } from '../../src/sealing/data-key.ts'
import type { DataKeyStore } from '../../src/sealing/data-key-store.ts'

/** Data keys in this process alone: what replicas of one test share. */
export function createMemoryDataKeyStore(): DataKeyStore {
  const rows = new Map<number, WrappedDataKey>()
  const latest = () => rows.get(Math.max(...rows.keys()))
  return {
    latest: () => Promise.resolve(latest()),
    find: (generation) => Promise.resolve(rows.get(generation)),
    addNewest: (row, removeMadeBeforeSeconds) => {
      const newest = latest()
      if (newest !== undefined && newest.generation >= row.generation)
        return Promise.resolve(newest)
      for (const { generation, createdAtSeconds } of rows.values()) {
        if (createdAtSeconds < removeMadeBeforeSeconds) rows.delete(generation)
      }
      rows.set(row.generation, row)
      return Promise.resolve(row)
    },
  }
}
