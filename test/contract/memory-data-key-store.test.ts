import { createMemoryDataKeyStore } from '../support/memory-data-key-store.ts'
import { describeDataKeyStore } from './data-key-store.contract.ts'

describeDataKeyStore('data keys in memory', () => {
  const store = createMemoryDataKeyStore()
  return { open: () => Promise.resolve(store), remove: () => Promise.resolve() }
})
