import { DatabaseError } from 'pg'
import { PasswordMissing } from './connection.ts'

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

/** By SQLSTATE (PostgreSQL, appendix A); what has none came from the connection. */
export function asDatabaseAccessError(error: unknown): DatabaseAccessError {
  if (error instanceof DatabaseAccessError) return error
  return new DatabaseAccessError(codeFrom(error), { cause: error })
}

function codeFrom(error: unknown): DatabaseAccessErrorCode {
  if (error instanceof PasswordMissing) return 'DATABASE_FORBIDDEN'
  if (!(error instanceof DatabaseError)) return 'DATABASE_UNREACHABLE'
  const state = error.code ?? ''
  // A connection that ends, a time-out, or a server without room.
  if (/^(08|57|53)/.test(state)) return 'DATABASE_UNREACHABLE'
  return /^28|^42501$/.test(state) ? 'DATABASE_FORBIDDEN' : 'DATABASE_REFUSED'
}
