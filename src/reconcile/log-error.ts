/** One code for each thing that an operator would do differently. */
export type LogErrorCode =
  | 'LOG_MISSING' // no such file or folder
  | 'LOG_WITHOUT_BLOBS' // a folder in which Azure Monitor has not written
  | 'LOG_UNREADABLE'
  | 'LOG_TOO_SLOW' // it could be read by somebody who has the time
  // Of a workspace:
  | 'LOG_CREDENTIAL' // the identity gave no token, or none that counts there
  | 'LOG_FORBIDDEN' // no right to read it, or not yet
  | 'LOG_WORKSPACE_MISSING' // no such workspace in this cloud
  | 'LOG_TABLE_MISSING' // nothing has ever come to the table, or it may not be seen
  | 'LOG_QUERY_REFUSED' // the workspace does not take our query
  | 'LOG_INCOMPLETE' // it answers in part, however little is asked
  | 'LOG_THROTTLED'
  | 'LOG_TIMEOUT'
  | 'LOG_UNAVAILABLE' // away, or broken: no answer, or 5xx
  | 'LOG_UNRECOGNISED'

/** A log that cannot be read. The message is one sentence for whoever started reconcile, and names the log. */
export class LogError extends Error {
  override readonly name = 'LogError'
  readonly code: LogErrorCode

  constructor(code: LogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
