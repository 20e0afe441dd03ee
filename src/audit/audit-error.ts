export type AuditErrorCode =
  | 'LEDGER_UNREADABLE' // it could not be read, or not in time
  | 'AUDIT_BUSY' // as many wait to read it as may wait

/** What keeps an auditor from being answered although it may read. `cause` is for the protected log. */
export class AuditError extends Error {
  override readonly name = 'AuditError'
  readonly code: AuditErrorCode

  constructor(code: AuditErrorCode, options?: ErrorOptions) {
    super(code, options)
    this.code = code
  }
}
