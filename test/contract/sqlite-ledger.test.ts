import { createSqliteStore } from '../support/ledger-store.ts'
import { describeLedger } from './ledger.contract.ts'

describeLedger('sqlite ledger', createSqliteStore)
