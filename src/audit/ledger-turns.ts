import { createTurns } from '../base/turns.ts'
import { AuditError } from './audit-error.ts'

/**
 * Lets auditors read the ledger one at a time, so that reading takes a part of what the service has, and no more.
 *
 * @throws AuditError when too many wait, or whatever reading throws.
 */
export type LedgerTurns = <Read>(read: () => Promise<Read>) => Promise<Read>

const waitingMax = 16

export function createLedgerTurns(): LedgerTurns {
  const turns = createTurns()
  let waiting = 0
  return async (read) => {
    if (waiting >= waitingMax) throw new AuditError('AUDIT_BUSY')
    waiting += 1
    try {
      return await turns(read)
    } catch (cause) {
      throw new AuditError('LEDGER_UNREADABLE', { cause })
    } finally {
      waiting -= 1
    }
  }
}
