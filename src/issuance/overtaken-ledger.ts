import type { Entry } from '../ledger/entry.ts'
import { type Ledger, LedgerError } from '../ledger/ledger.ts'

/**
 * The ledger, for what is decided under one configuration: once another one is in force it takes nothing
 * more that lets something happen, just as it takes nothing behind a revocation that was not heeded. What
 * is written as issued while that changes is given to nobody: then the ledger says more than happened.
 */
export const createOvertakenLedger = (isInForce: () => boolean, ledger: Ledger): Ledger => ({
  append: async (entries, decidedUnder) => {
    if (decidedUnder === undefined) return ledger.append(entries)
    if (!isInForce()) throw new LedgerError('LEDGER_OVERTAKEN')
    await ledger.append(entries, decidedUnder)
    if (!isInForce() && entries.some(isIssue)) throw new LedgerError('LEDGER_OVERTAKEN')
  },
  healthy: () => ledger.healthy(),
  close: () => ledger.close(),
})

const isIssue = ({ kind }: Entry) => kind === 'token.issued' || kind === 'assertion.issued'
