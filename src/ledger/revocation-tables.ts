import type { DatabaseSync } from 'node:sqlite'
import { canonicalEntry } from './chain.ts'
import { hasRevocations } from './ledger-file.ts'
import {
  noRevocations,
  parseRevocationMade,
  type RevocationChange,
  type StandingRevocations,
} from './standing-revocations.ts'

/** What stands, in the tables that the ledger's file has for it; nothing in one of an earlier release. */
export function readStanding(db: DatabaseSync): StandingRevocations {
  if (!hasRevocations(db)) return noRevocations
  const now = db.prepare('SELECT epoch FROM revocation_epoch').get()
  const rows = db.prepare('SELECT made FROM revocation ORDER BY epoch').all()
  return {
    epoch: Number(now?.['epoch']),
    made: rows.map(({ made }) => parseRevocationMade(String(made))),
  }
}

/** Within the transaction that stores the entries. */
export function changeStanding(db: DatabaseSync, changes: readonly RevocationChange[]): void {
  for (const change of changes) {
    db.exec('UPDATE revocation_epoch SET epoch = epoch + 1')
    if (change.kind === 'revocation.made') {
      db.prepare('INSERT INTO revocation (id, epoch, made) VALUES (?, ?, ?)').run(
        change.revocation,
        change.epoch,
        canonicalEntry(change),
      )
    } else {
      db.prepare('DELETE FROM revocation WHERE id = ?').run(change.revocation)
    }
  }
}
