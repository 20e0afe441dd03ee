import { createSqliteStore } from '../support/ledger-store.ts'
import { describeRevocations } from './revocations.contract.ts'

describeRevocations('revocations in sqlite', createSqliteStore)
