/** One code for each thing that an operator would do differently. */
export type DatabaseAccessErrorCode =
  | 'DATABASE_UNREACHABLE' // no connection, no answer in time, or too many that wait for one
  | 'DATABASE_FORBIDDEN' // the role's password, or what it was granted
  | 'DATABASE_REFUSED' // anything else, in the database's own words

/** What replicas share cannot be reached now. The cause is for the protected log. */
export class DatabaseAccessError extends Error {
  override readonly name = 'DatabaseAccessError'
  readonly code: DatabaseAccessErrorCode

  constructor(code: DatabaseAccessErrorCode, options?: ErrorOptions) {
    super(code, options)
    this.code = code
  }

  /** Whether asking again later is all that anybody need do. */
  get transient(): boolean {
    return this.code === 'DATABASE_UNREACHABLE'
  }
}
