import type {
  GenerationsKept,
  PolicyGeneration,
  PolicyGenerations,
} from '../../src/reload/policy-generations.ts'

/** Generations in this process alone: what replicas of one test share. */
export function createMemoryPolicyGenerations(
  kept: GenerationsKept = { texts: 100, hashes: 10_000 },
): PolicyGenerations {
  const rows = new Map<number, Partial<PolicyGeneration> & { readonly sha256: string }>()
  const listeners = new Set<() => void>()
  const newest = () => (rows.size === 0 ? 0 : Math.max(...rows.keys()))
  return {
    find: (sha256) => {
      const generation = newest()
      const row = rows.get(generation)
      return Promise.resolve({
        newest: row && { generation, sha256: row.sha256 },
        same: [...rows.keys()].filter((one) => rows.get(one)?.sha256 === sha256),
      })
    },
    read: (generation) => {
      const row = rows.get(generation)
      if (row?.files === undefined) return Promise.resolve(undefined)
      return Promise.resolve({ generation, sha256: row.sha256, files: row.files })
    },
    publish: ({ generation, sha256, files }) => {
      if (generation !== newest() + 1) return Promise.resolve(false)
      rows.set(generation, { sha256, files })
      for (const [one, row] of rows) {
        if (one <= generation - kept.texts) rows.set(one, { sha256: row.sha256 })
        if (one <= generation - kept.hashes) rows.delete(one)
      }
      for (const listener of listeners) queueMicrotask(listener)
      return Promise.resolve(true)
    },
    watch: (listener) => {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
  }
}
