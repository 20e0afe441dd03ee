import type { Entry } from '../../src/ledger/entry.ts'

/** The smallest entry there is, told from others by `version`. */
export const startedEntry = (version: string): Entry => ({
  kind: 'service.started',
  atMs: 1_790_000_000_000,
  version,
})
