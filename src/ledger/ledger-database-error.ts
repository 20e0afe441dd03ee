/** Why a ledger in PostgreSQL cannot be used: one code for each thing that an operator does about it. */
export type LedgerDatabaseErrorCode =
  | 'LEDGER_NOT_LOCATED' // the file that should hold its URL does not
  | 'LEDGER_UNREACHABLE' // no connection, or one that was lost
  | 'LEDGER_NOT_TRUSTED' // its TLS certificate is not to be trusted, or it has none
  | 'LEDGER_FORBIDDEN' // the role's password, or what it was granted
  | 'LEDGER_MISSING' // nothing is to be read: no such database, or nothing in its schema
  | 'LEDGER_NOT_PREPARED' // the role may not make or extend the tables, and somebody has to
  | 'LEDGER_NOT_A_LEDGER' // the schema holds something else
  | 'LEDGER_VERSION_UNKNOWN' // made for another version of the program
  | 'LEDGER_NOT_DURABLE' // the server answers before its disk holds what it was told
  | 'LEDGER_NOT_UTF8' // the encoding of the database cannot hold every entry
  | 'LEDGER_READ_ONLY' // a standby, or a database that takes no writes
  | 'LEDGER_TIP_BROKEN' // its last entry does not verify, or is not where the tip says
  | 'LEDGER_REWOUND' // it lacks entries that it has answered as durable
  | 'LEDGER_REFUSED' // anything else, in the database's own words

/**
 * The message is one sentence for the operator; it names the database, and neither role nor password.
 * The server's own words, which may name the role, are in `cause` for the protected log.
 */
export class LedgerDatabaseError extends Error {
  override readonly name = 'LedgerDatabaseError'
  readonly code: LedgerDatabaseErrorCode

  constructor(code: LedgerDatabaseErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  /** Whether the database gave no answer, so that asking again is the right thing to do. */
  get transient(): boolean {
    return this.code === 'LEDGER_UNREACHABLE'
  }
}
