import { DatabaseError } from 'pg'
import { PasswordMissing } from './connection.ts'
import { DatabaseAccessError, type DatabaseAccessErrorCode } from './database-access-error.ts'

/** By SQLSTATE (PostgreSQL, appendix A); what has none came from the connection. */
export function asDatabaseAccessError(error: unknown): DatabaseAccessError {
  if (error instanceof DatabaseAccessError) return error
  return new DatabaseAccessError(codeFrom(error), { cause: error })
}

function codeFrom(error: unknown): DatabaseAccessErrorCode {
  if (error instanceof PasswordMissing) return 'DATABASE_FORBIDDEN'
  if (!(error instanceof DatabaseError)) return 'DATABASE_UNREACHABLE'
  const state = error.code ?? ''
  // A connection that ends, a time-out, a lock that others have, or a server without room.
  if (/^(08|57|53|55P03|40)/.test(state)) return 'DATABASE_UNREACHABLE'
  return /^28|^42501$/.test(state) ? 'DATABASE_FORBIDDEN' : 'DATABASE_REFUSED'
}
